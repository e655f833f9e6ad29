"""Two arms over the same seeds: the mean difference, its interval, and how sure one may be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PairedComparison:
    """An arm against another, seed by seed.

    Attributes:
        differences: of each seed (n,), in the unit of the values.
        mean: mean difference.
        low, high: 95 % t interval of the mean difference; infinite for one seed.
        p: two-sided p of the paired t test; 1 for one seed.
        p_exact: two-sided p of the exact sign-flip test.
        smallest_p: the smallest p_exact that n seeds can reach, 2 / 2^n.
        superiority: P(A > B), share of all pairs of runs, ties counted half.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p: float
    p_exact: float
    smallest_p: float
    superiority: float


def compare_paired(a: Array, b: Array) -> PairedComparison:
    """Returns how arm a does against arm b.

    Args:
        a: values of one arm (n,), one a seed.
        b: values of the other arm for the same seeds (n,).

    Raises:
        ValueError: the arms have no seeds, or not the same number.

    Source: paired t test; exact randomisation test (Fisher); Mann-Whitney's effect size.
    """
    if a.shape != b.shape or a.ndim != 1 or len(a) == 0:
        raise ValueError(
            f"a and b must have a value each for the same seeds, but got {a.shape} and {b.shape}"
        )
    d = np.asarray(a - b, dtype=np.float64)
    low, high, p = _t_interval(d)
    wins = stats.mannwhitneyu(a, b).statistic
    return PairedComparison(
        differences=tuple(d.tolist()),
        mean=float(d.mean()),
        low=low,
        high=high,
        p=p,
        p_exact=sign_flip_p(d),
        smallest_p=min(1.0, 2.0 / 2 ** len(d)),
        superiority=float(wins) / len(d) ** 2,
    )


def sign_flip_p(differences: Array) -> float:
    """Returns the two-sided p of the mean under all sign flips; exact for up to 13 seeds.

    With more seeds 9,999 random flips stand for all.

    Args:
        differences: (n,).
    """
    if len(differences) == 1 or not differences.any():
        return 1.0
    result = stats.permutation_test(
        (differences,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def holm(p_values: list[float]) -> list[float]:
    """Returns Holm's adjusted p-values, in the same order.

    The k-th smallest of m is multiplied by m - k + 1 and is at least the one before it.

    Source: Holm 1979.
    """
    m = len(p_values)
    adjusted, largest = [0.0] * m, 0.0
    for k, i in enumerate(sorted(range(m), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (m - k) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def verdict(comparison: PairedComparison, adjusted_p: float, *, region: float) -> str:
    """Returns `better`, `worse` or `not resolved`.

    A difference is resolved if its adjusted p is at most 0.05 and its mean lies outside the
    region of practical equivalence.

    Args:
        comparison: of the arm with the baseline.
        adjusted_p: its p after all comparisons of the family were taken into account.
        region: largest difference that is as good as none, in the unit of the values.
    """
    if adjusted_p > 1 - CONFIDENCE or abs(comparison.mean) <= region:
        return "not resolved"
    return "better" if comparison.mean > 0 else "worse"


def _t_interval(d: Array) -> tuple[float, float, float]:
    """Low, high and p of the mean; differences that are all the same have no spread to test."""
    mean = float(d.mean())
    if len(d) == 1:
        return -np.inf, np.inf, 1.0
    if np.ptp(d) == 0:
        return mean, mean, 1.0 if mean == 0 else float(2.0 / 2 ** len(d))
    test = stats.ttest_1samp(d, 0.0)
    interval = test.confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high), float(test.pvalue)
