"""Values as tables print them: percent, and text without a meaning of its own."""

import math

import pytest

from lora_sweep.report.text.values import escape_markdown, median_and_std, signed_points


@pytest.mark.parametrize(
    ("median", "std", "expected"),
    [
        pytest.param(0.6784, 0.0087, "67.84 ± 0.87", id="several seeds"),
        pytest.param(0.6784, math.nan, "67.84", id="one seed"),
        pytest.param(0.5, 0.0, "50.00 ± 0.00", id="equal seeds"),
        pytest.param(1.0, 0.1, "100.00 ± 10.00", id="highest"),
        pytest.param(-0.123, 0.01, "-12.30 ± 1.00", id="negative"),
        pytest.param(-0.00001, 0.01, "0.00 ± 1.00", id="rounded zero has no sign"),
        pytest.param(math.nan, math.nan, None, id="no run"),
    ],
)
def test_metric_is_printed_in_percent(median: float, std: float, expected: str | None) -> None:
    assert median_and_std(median, std) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a|b", r"a\|b", id="pipe"),
        pytest.param("`a`", r"\`a\`", id="backticks"),
        pytest.param("a\r\n b", "a b", id="line break"),
        pytest.param("a\\|b", r"a\\\|b", id="backslash"),
        pytest.param("<b> & *c*", r"&lt;b> &amp; \*c\*", id="HTML and stars"),
    ],
)
def test_markdown_text_is_escaped(text: str, expected: str) -> None:
    assert escape_markdown(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.567, "+0.57"), (-1.0, "-1.00"), (0.0, "+0.00"), (math.nan, "-")]
)
def test_difference_has_its_sign(value: float, expected: str) -> None:
    assert signed_points(value) == expected
