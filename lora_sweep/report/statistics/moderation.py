"""Spreads of several comparisons, each moderated by the others.

Few seeds say little of a comparison's spread; the other comparisons of the same sweep say more.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Array = NDArray[np.float64]
_SMALLEST = 1e-5
"""Of the median variance: what is smaller comes of ties, and would rule the logarithms."""


def moderate_variances(variances: Array, df: Array) -> tuple[Array, Array]:
    """Returns moderated variances and their degrees of freedom, (m,) each.

        s̃_i² = (d0 s0² + d_i s_i²) / (d0 + d_i),   d0 at most d_i

    s0² and d0 are fitted to the logarithms of the variances. Uncapped, one comparison with three
    times the others' noise is called resolved too often; with the cap, its own spread counts at
    least half.

    Args:
        variances: s_i² (m,), of differences; above 0.
        df: d_i (m,), at least 1.

    Source: Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004), section 6.2; the cap is ours.
    """
    if len(variances) < 2:
        return variances, df
    floor = _SMALLEST * float(np.median(variances))
    prior, d0 = fit_prior(np.maximum(variances, floor), df)
    weight = np.minimum(d0, df)
    return (weight * prior + df * variances) / (weight + df), weight + df


def fit_prior(variances: Array, df: Array) -> tuple[float, float]:
    """s0² and d0; d0 is infinite where the variances differ no more than chance lets them."""
    e = np.log(variances) - special.digamma(df / 2) + np.log(df / 2)
    spread = float(e.var(ddof=1) - special.polygamma(1, df / 2).mean())
    d0 = np.inf if spread <= 0 else 2 * _inverse_trigamma(spread)
    shift = 0.0 if np.isinf(d0) else float(special.digamma(d0 / 2) - np.log(d0 / 2))
    return float(np.exp(e.mean() + shift)), float(d0)


def _inverse_trigamma(value: float) -> float:
    """X > 0 with trigamma(x) = value; 1/x < trigamma(x) < 1/x + 1/x² say where it lies."""
    low, high = 1 / value, (1 + (1 + 4 * value) ** 0.5) / (2 * value)
    return float(optimize.brentq(lambda x: special.polygamma(1, x) - value, low, high))
