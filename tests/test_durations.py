"""A time in words has the unit that gives a small number."""

import pytest

from lora_sweep.durations import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),  # 1.5 is rounded to the even number
        (12 * 60, "12 min"),
        (5400, "1.5 h"),
        (47 * 3600, "47.0 h"),
        (2.1 * 86400, "2.1 days"),
    ],
)
def test_duration_is_said_in_its_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said
