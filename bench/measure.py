"""Honest pairing: A B A B in one process, and what comes of it."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Timed = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One row of the benchmark's table.

    Attributes:
        name: of the row.
        what: is measured, in words.
        bar: what is asked for, such as `>= 2.2`.
        values: the measured ratio of every pair.
        details: medians behind it, and how often they were taken.
    """

    name: str
    what: str
    bar: str
    values: list[float]
    details: str

    @property
    def median(self) -> float:
        """The row's figure."""
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the median is on the bar's good side."""
        sign, bound = self.bar.split()
        return self.median >= float(bound) if sign == ">=" else self.median <= float(bound)


def seconds(function: Timed) -> float:
    """Returns how long one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def paired(a: Timed, b: Timed, *, n_pairs: int) -> list[tuple[float, float]]:
    """Returns the seconds of a and b, called in turn after one call of each to warm up."""
    a()
    b()
    return [(seconds(a), seconds(b)) for _ in range(n_pairs)]


def medians(pairs: Sequence[tuple[float, float]], *, per: float = 1.0) -> str:
    """Returns both medians in milliseconds, with quartiles, for a table's small print."""
    parts = []
    for side in range(2):
        times = sorted(1000 * pair[side] / per for pair in pairs)
        low, mid, high = statistics.quantiles(times, n=4) if len(times) > 1 else (times[0],) * 3
        parts.append(f"{mid:.2f} ms ({low:.2f}-{high:.2f})")
    return f"{parts[0]} against {parts[1]}, {len(pairs)} pairs"
