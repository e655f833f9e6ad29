"""How fast a sweep goes, from when its runs were trained. Numbers in, numbers out.

A run's training is spread evenly over the time that it took. Over a stretch of time,

    runs per second = (parts of runs trained in it) / (time in it with any training going on)

so packs whose runs all end at once, several processes side by side, and pauses between two starts
of the sweep come out right. Source: ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

N_RECENT = 200
"""How many of the last trainings count."""
GAP_SECONDS = 60.0
"""A pause of up to that is part of the work: loading, timing packs, writing."""


@dataclass(frozen=True)
class Span:
    """A training: from start to end, in seconds of one clock, `work` runs were trained."""

    start: float
    end: float
    work: float


@dataclass(frozen=True)
class Pace:
    """How fast a sweep goes.

    Attributes:
        runs_per_second: while it trains.
        n_runs: as many runs' training tells it.
    """

    runs_per_second: float
    n_runs: float


def recent_pace(spans: Sequence[Span], known_until: float) -> Pace | None:
    """Returns the pace over the last trainings, or None if nothing was trained in them.

    Args:
        spans: trainings, finished or not.
        known_until: what was trained after it is not known yet, so that it can't count.
    """
    known = [span for span in spans if span.start < min(span.end, known_until)]
    if not known:  # all that is known came after: it counts as it is
        known, known_until = [span for span in spans if span.start < span.end], float("inf")
    recent = sorted(known, key=lambda span: span.end)[-N_RECENT:]
    if not recent:
        return None
    begin = min(span.start for span in recent)
    work = sum(_share(span, begin, known_until) * span.work for span in known)
    busy = _busy_seconds([_clipped(span, begin, known_until) for span in known])
    return Pace(work / busy, work) if work > 0 else None


def _clipped(span: Span, begin: float, end: float) -> tuple[float, float]:
    return max(span.start, begin), min(span.end, end)


def _share(span: Span, begin: float, end: float) -> float:
    start, stop = _clipped(span, begin, end)
    return max(0.0, stop - start) / (span.end - span.start)


def _busy_seconds(stretches: Sequence[tuple[float, float]]) -> float:
    """Seconds that any of the stretches covers, short gaps between them included."""
    total, reached = 0.0, None
    for start, end in sorted(stretches):
        if end <= start:
            continue
        if reached is None or start - reached > GAP_SECONDS:
            total, reached = total + end - start, end
        elif end > reached:
            total, reached = total + end - reached, end
    return total
