"""A check: one figure, its bar, and what is behind it. A check that breaks is one that fails."""

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Measure = Callable[[], tuple[float, str]]
"""Returns the figure, and in words what is behind it."""


@dataclass(frozen=True)
class Check:
    """What is to be measured.

    Attributes:
        name: of the row.
        bar: what is asked for, such as `<= 1e-4`; empty for a figure without one.
        measure: takes the measurement.
    """

    name: str
    bar: str
    measure: Measure


@dataclass(frozen=True)
class Result:
    """What was seen.

    Attributes:
        name, bar: of the check.
        value: the figure; NaN where the check broke or was not run.
        details: what is behind it, or why there is none.
        seconds: that it took.
    """

    name: str
    bar: str
    value: float
    details: str
    seconds: float = 0.0

    @property
    def is_met(self) -> bool | None:
        """Whether the figure is on the bar's good side; None without a bar."""
        if not self.bar:
            return None
        sign, bound = self.bar.split()
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


def run_checks(checks: Sequence[Check], *, until: float) -> list[Result]:
    """Returns what all checks showed, in order, and prints each when it is there.

    Args:
        checks: what to measure.
        until: time (of `time.monotonic`) after which no check is started any more.
    """
    results = []
    for check in checks:
        result = _run(check) if time.monotonic() < until else _not_run(check)
        print(f"{line(result)}", flush=True)
        results.append(result)
    return results


def line(result: Result) -> str:
    """Returns a result in one line."""
    verdict = {True: "met", False: "NOT MET", None: ""}[result.is_met]
    bar = f" (bar {result.bar}: {verdict})" if result.bar else ""
    return f"{result.name}: {result.value:.4g}{bar}; {result.details} [{result.seconds:.0f} s]"


def _run(check: Check) -> Result:
    started = time.monotonic()
    try:
        value, details = check.measure()
    except Exception as error:  # one broken check must not cost the figures of the others
        traceback.print_exc()
        value, details = math.nan, f"BROKE: {type(error).__name__}: {error}"
    return Result(check.name, check.bar, value, details, time.monotonic() - started)


def _not_run(check: Check) -> Result:
    return Result(check.name, check.bar, math.nan, "not run: the time was over")
