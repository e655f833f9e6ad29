"""Looking again after more seeds: how much of the level each look may spend."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
POWER = 1.5
"""Of the share of seeds, in the share of the level that is spent by then."""
_N_SIMULATED = 400_000


def nominal_levels(n_seeds: Sequence[int], *, alpha: float, n_most: int) -> Array:
    """Returns the one-sided level of each look, such that all looks together have level alpha.

        spent by look k: alpha · (n_k / n_most)^1.5

    A claim is made at look k if its p is at most the k-th level. The first look has what it may
    spend; of the later ones, each has the level at which so many of 400,000 simulated t tests
    without a difference, closed by no look before, are closed now. A share of less than one of
    these tests closes none, and is left to the next look. Boundaries of the normal
    process would be crossed 1.03 to 1.2 times too often by t tests of few seeds.

    Args:
        n_seeds: at each look, ascending, at most n_most.
        alpha: of all looks.
        n_most: seeds at the last planned look.

    Source: Lan and DeMets, Biometrika 70 (1983); power family: Kim and DeMets, Biometrika 74
    (1987); levels by simulation: ours.
    """
    to_spend = np.diff(alpha * (np.array(n_seeds) / n_most) ** POWER, prepend=0)
    p_values = _without_difference(tuple(n_seeds))
    levels = [float(to_spend[0])]
    is_open = p_values[0] > levels[0]
    due = 0.0
    for p, share in zip(p_values[1:], to_spend[1:], strict=True):
        due += float(share) * _N_SIMULATED
        n_closed = round(due)
        due -= n_closed
        levels.append(float(np.sort(p[is_open])[n_closed - 1]) if n_closed > 0 else 0.0)
        is_open &= p > levels[-1]
    return np.array(levels)


@lru_cache(maxsize=1)
def _without_difference(n_seeds: tuple[int, ...]) -> Array:
    """One-sided p of t tests at each look, of differences with mean 0 (n_looks, 400,000)."""
    rng = np.random.default_rng(0)
    total, squares, before = np.zeros(_N_SIMULATED), np.zeros(_N_SIMULATED), 0
    p_values = []
    for n in n_seeds:
        step = n - before
        more = rng.normal(0.0, step**0.5, _N_SIMULATED)
        squares += more**2 / step + (rng.chisquare(step - 1, _N_SIMULATED) if step > 1 else 0.0)
        total, before = total + more, n
        variance = (squares - total**2 / n) / (n - 1)
        p_values.append(special.stdtr(n - 1, -total / np.sqrt(n * variance)))
    return np.array(p_values)
