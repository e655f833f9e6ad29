"""How often runs of an init and of a baseline fail: a question of its own beside the difference.

A run that collapsed or diverged says nothing of how well the init does where it trains, and
leaving it out says nothing of how often it does not. So both are told.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
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


def compare_failures(init: tuple[Counts, Counts], baseline: tuple[Counts, Counts]) -> Failures:
    """Returns how failures of an init and a baseline compare over the seeds.

    Each seed has one share of failures on either side, for its runs at several settings tend to
    fail together. p: how often flipping the signs of the seeds' differences at random gives as
    large a mean (exact up to 13 seeds).

    Args:
        init: failed runs and all that ended, of each seed (n,).
        baseline: the same, for the same seeds.

    Source: sign-flip test (Fisher); McNemar's exact test where each seed has one run.
    """
    known = (init[1] > 0) & (baseline[1] > 0)
    shares = [one[0][known] / one[1][known] for one in (init, baseline)]
    d = shares[0] - shares[1]
    return Failures(
        init=(int(init[0].sum()), int(init[1].sum())),
        baseline=(int(baseline[0].sum()), int(baseline[1].sum())),
        difference=float(d.mean()) if len(d) else np.nan,
        p=_sign_flip_p(d),
    )


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
