"""Errors that say little or nothing are said all the same."""

import pytest

from lora_sweep.error_lines import error_lines, first_line
from lora_sweep.errors import SettingError


@pytest.mark.parametrize("text", ["", "\n", "  \n\t"], ids=["empty", "line", "blanks"])
@pytest.mark.parametrize("kind", [RuntimeError, SettingError, OSError])
def test_error_without_a_text_is_named(kind: type[Exception], text: str) -> None:
    said = f"{kind.__name__} without a message"
    assert first_line(kind(text)) == said
    assert error_lines(kind(text)) == [f"error: {said}"]


def test_own_error_without_a_text_is_named_not_its_wrapping() -> None:
    outer = RuntimeError("outer")
    outer.__cause__ = SettingError()
    assert error_lines(outer) == ["error: SettingError without a message"]


def test_first_line_is_the_first_that_says_something() -> None:
    assert first_line(ValueError("\n  too large \nsecond")) == "too large"
