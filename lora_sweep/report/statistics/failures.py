"""How often runs of an init and of a baseline fail: a question of its own beside the difference.

A run that collapsed or diverged says nothing of how well the init does where it trains, and
leaving it out says nothing of how often it does not. So both are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lora_sweep.report.statistics.paired import ALPHA

Array = NDArray[np.float64]
Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Failed runs and all that ended, of each seed (n,) each."""
_MOST_FLIPS = 9_999


@dataclass(frozen=True)
class Failures:
    """Failed runs of an init and of a baseline.

    Attributes:
        init, baseline: failed runs, and all that ended, of each.
        difference: mean over the seeds of the init's share of failures minus the baseline's.
        p: two-sided, of «they fail equally often».
    """

    init: tuple[int, int]
    baseline: tuple[int, int]
    difference: float
    p: float


def fails_more(failures: Failures, p: float) -> bool | None:
    """Returns whether the init fails more often (True) or less (False); None: not shown to differ.

    Args:
        failures: of an init and a baseline.
        p: theirs, after the correction for all that were compared.
    """
    return None if p > ALPHA else failures.difference > 0


def compare_failures(init: Counts, baseline: Counts) -> Failures:
    """Returns how failures of an init and a baseline compare over the seeds.

    Each seed has one share of failures on either side, for its runs at several settings tend to
    fail together. p: how often flipping the signs of the seeds' differences at random gives as
    large a mean (exact up to 13 seeds).

    Args:
        init: of each seed.
        baseline: the same, for the same seeds.

    Source: sign-flip test (Fisher); McNemar's exact test where each seed has one run.
    """
    return compare_failures_over_tasks([(range(len(init[0])), init, baseline)])


def compare_failures_over_tasks(
    tasks: Sequence[tuple[Sequence[int], Counts, Counts]],
) -> Failures:
    """Returns how failures compare where the share of a seed is its mean over its tasks.

    Args:
        tasks: of each the seeds, and the counts of the init and of the baseline at these.
    """
    of_tasks = [
        pd.Series(_share(init) - _share(baseline), index=list(seeds))
        for seeds, init, baseline in tasks
    ]
    d = np.asarray(pd.concat(of_tasks).groupby(level=0).mean().dropna(), dtype=np.float64)
    return Failures(
        init=_total([init for _, init, _ in tasks]),
        baseline=_total([baseline for _, _, baseline in tasks]),
        difference=float(d.mean()) if len(d) else np.nan,
        p=_sign_flip_p(d),
    )


def _share(counts: Counts) -> Array:
    """Share of runs that failed, of each seed; NaN where none has ended."""
    n_failed, n_runs = counts
    return np.where(n_runs > 0, n_failed / np.maximum(1, n_runs), np.nan)


def _total(counts: Sequence[Counts]) -> tuple[int, int]:
    n_failed, n_runs = np.sum([[failed.sum(), runs.sum()] for failed, runs in counts], axis=0)
    return int(n_failed), int(n_runs)


def _sign_flip_p(d: Array) -> float:
    moved = d[d != 0]
    if len(moved) < 2:
        return 1.0
    result = stats.permutation_test(
        (moved,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_MOST_FLIPS,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)
