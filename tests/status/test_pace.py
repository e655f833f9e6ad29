"""The pace of a sweep, against hand-worked stretches of training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.status.pace import GAP_SECONDS, N_RECENT, Span, recent_pace

FOREVER = float("inf")


def pack(start: float, end: float, n: int) -> list[Span]:
    """Runs that train together, and so end together."""
    return [Span(start, end, 1.0)] * n


@pytest.mark.parametrize(
    ("spans", "known_until", "per_second"),
    [
        (pack(0, 10, 1), FOREVER, 1 / 10),
        (pack(0, 10, 4), FOREVER, 4 / 10),
        (pack(0, 10, 4) + pack(10, 20, 4), FOREVER, 8 / 20),
        (pack(0, 10, 4) + pack(5, 15, 4), FOREVER, 8 / 15),
        (pack(0, 10, 2) + pack(20, 30, 2), FOREVER, 4 / 30),
        (pack(0, 10, 2) + pack(9000, 9010, 2), FOREVER, 4 / 20),
        ([*pack(0, 10, 2), Span(10, 20, 0.5)], FOREVER, 2.5 / 20),
        (pack(0, 10, 2) + pack(0, 20, 2), 10, 3 / 10),
        (pack(0, 10, 2), -5, 2 / 10),
    ],
    ids=[
        *("a_run", "a_pack", "two_packs", "two_processes", "short_gap", "idle_night"),
        *("unfinished", "other_process_unknown", "nothing_known_before"),
    ],
)
def test_pace_is_work_over_busy_time(
    spans: list[Span], known_until: float, per_second: float
) -> None:
    pace = recent_pace(spans, known_until)
    assert pace is not None
    assert pace.runs_per_second == pytest.approx(per_second)


@pytest.mark.parametrize("spans", [[], [Span(5, 5, 1.0)], [Span(0, 9, 0.0)]])
def test_pace_without_training_is_unknown(spans: list[Span]) -> None:
    assert recent_pace(spans, FOREVER) is None


def test_pace_forgets_what_is_long_ago() -> None:
    slow = [Span(1000.0 * i, 1000.0 * (i + 1), 1.0) for i in range(50)]
    fast = [Span(50_000.0 + i, 50_001.0 + i, 1.0) for i in range(N_RECENT)]
    pace = recent_pace([*slow, *fast], FOREVER)
    assert pace is not None
    assert pace.runs_per_second == pytest.approx(1)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.5, 50)), min_size=1, max_size=9))
def test_pace_equals_a_count_in_small_steps(stretches: list[tuple[float, float]]) -> None:
    spans = [Span(start, start + length, 1.0) for start, length in stretches]
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    if last - first > GAP_SECONDS:  # gaps are then not sure to be counted as work
        return
    pace = recent_pace(spans, FOREVER)
    assert pace is not None
    assert pace.runs_per_second == pytest.approx(len(spans) / (last - first))
