"""An interval that holds the true mean at all times at once, however often one looks."""

import numpy as np
from numpy.typing import NDArray

from lora_sweep.report.statistics.paired import has_spread

PRIOR_SEEDS = 0.5
"""Weight of the prior in seeds: intervals are narrow for 8 to 20 of them."""


def confidence_sequence(values: NDArray[np.float64], *, alpha: float) -> tuple[float, float]:
    """Returns the interval after these values; infinite as long as nothing can be said.

    All intervals, from the first value to however many, hold the true mean together with
    probability 1 - alpha. It is where the mixture of t likelihood ratios stays below 1 / alpha:

        √(c / (n + c)) · (V / (V - S² / (n + c)))^(n / 2),   S = Σ(x - µ),   V = Σ(x - µ)²

    Args:
        values: normal, of unknown spread (n,).
        alpha: probability that any of the intervals misses.

    Source: Wang and Ramdas, Anytime-valid t-tests and confidence sequences for Gaussian means
    with unknown variance (arXiv 2310.03722), section 4.
    """
    n, c = len(values), PRIOR_SEEDS
    if not has_spread(values):
        return -np.inf, np.inf
    # S² / ((n + c) V) must stay below this share
    share = 1 - (alpha * (c / (n + c)) ** 0.5) ** (2 / n)
    left = n - (n + c) * share
    if left <= 0:
        return -np.inf, np.inf
    half = float(np.sqrt((n + c) * share * (n - 1) * values.var(ddof=1) / (n * left)))
    mean = float(values.mean())
    return mean - half, mean + half
