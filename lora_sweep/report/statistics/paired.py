"""An init against a baseline over the same seeds: difference, interval, and how sure one may be.

The init may have been run with several settings. Each seed is then judged at the setting that
the other seeds choose. These values are not independent, for they choose each other's setting: a
plain t interval would hold the truth 89 times in 100 where it claims 95 (8 seeds, 5 equal
settings). So the standard error is widened by the jackknife's, and the exact test makes the
choice again for every flip of the signs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lora_sweep.report.statistics.selection import leave_one_seed_out

Array = NDArray[np.float64]
CONFIDENCE = 0.95
MOST_FLIPS = 2**13


@dataclass(frozen=True)
class PairedComparison:
    """An init against a baseline, seed by seed.

    Attributes:
        differences: init minus baseline of each seed (n,), in the unit of the values.
        mean: mean difference.
        std_error: of the mean; infinite where it can't be known.
        low, high: 95 % t interval of the mean.
        p: two-sided p of the t test with this standard error; 1 where it can't be known.
        p_exact: two-sided p of the sign-flip test.
        smallest_p: the smallest p_exact that n seeds can reach.
        superiority: P(init > baseline), share of all pairs of runs, ties counted half.
    """

    differences: tuple[float, ...]
    mean: float
    std_error: float
    low: float
    high: float
    p: float
    p_exact: float
    smallest_p: float
    superiority: float


def compare_paired(values: Array, baseline: Array) -> PairedComparison:
    """Returns how an init does against a baseline.

    Args:
        values: of the init (n_settings, n), one a setting and seed.
        baseline: values of the baseline for the same seeds (n,).

    Raises:
        ValueError: there are no seeds, not the same number of them, or one that would have to
            choose among settings alone.

    Source: paired t test; jackknife (Quenouille, Tukey), its variance averaged with the plain
    one (ours, weights by simulation); sign-flip test (Fisher); Mann-Whitney's effect size.
    """
    if values.ndim != 2 or values.shape[1:] != baseline.shape or values.size == 0:
        raise ValueError(
            "values and baseline must be (n_settings, n) and (n,), but got "
            f"{values.shape} and {baseline.shape}"
        )
    chosen = leave_one_seed_out(values)
    d = chosen - baseline
    n, mean, error = len(d), float(d.mean()), _std_error(values - baseline)
    smallest_p = min(1.0, (2 if len(values) == 1 else 1) / 2**n)
    low, high, p = _t_interval(mean, error, n, smallest_p)
    return PairedComparison(
        differences=tuple(d.tolist()),
        mean=mean,
        std_error=error,
        low=low,
        high=high,
        p=p,
        p_exact=sign_flip_p(values - baseline),
        smallest_p=smallest_p,
        superiority=float(np.sign(chosen[:, None] - baseline).mean() + 1) / 2,
    )


def sign_flip_p(differences: Array) -> float:
    """Returns the two-sided p of the mean under flips of the seeds' signs.

    A flip turns all of a seed's differences; the settings are chosen anew for each. Up to 13
    seeds all flips are made, so the test is exact; with more, 8,191 random ones stand for all.

    Args:
        differences: init minus baseline (n_settings, n).
    """
    n = differences.shape[1]
    if n == 1:
        return 1.0
    if 2**n <= MOST_FLIPS:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1  # (2^n, n)
    else:
        bits = np.random.default_rng(0).integers(2, size=(MOST_FLIPS, n))
        bits[0] = 0  # what was seen is one of the flips
    flipped = (1 - 2 * bits)[:, None, :] * differences  # (n_flips, n_settings, n)
    means = np.abs(leave_one_seed_out(flipped).mean(axis=-1))
    return float((means >= means[0] * (1 - 1e-12)).mean())


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


def _std_error(differences: Array) -> float:
    """Standard error of the mean of the chosen differences; infinite if it can't be known."""
    n_settings, n = differences.shape
    d = leave_one_seed_out(differences)
    if n < 2 or (n_settings > 1 and n < 3):
        return np.inf
    plain = d.var(ddof=1) / n
    if n_settings == 1:
        return float(np.sqrt(plain))
    without = [leave_one_seed_out(np.delete(differences, j, axis=1)).mean() for j in range(n)]
    jackknife = (n - 1) * np.var(without)
    return float(np.sqrt((2 * plain + jackknife) / 3))


def _t_interval(
    mean: float, error: float, n: int, smallest_p: float
) -> tuple[float, float, float]:
    """Low, high and p; differences that are all the same have no spread to test by."""
    if np.isinf(error):
        return -np.inf, np.inf, 1.0
    if error == 0:
        return mean, mean, 1.0 if mean == 0 else smallest_p
    half = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, n - 1))
