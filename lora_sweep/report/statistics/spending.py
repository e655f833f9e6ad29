"""Looking again after more seeds: how much of the level each look may spend."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
POWER = 1.5
"""Of the share of seeds, in the share of the level that is spent by then."""
_STEP = 0.02
_FAR = 9.0


def nominal_levels(n_seeds: Sequence[int], *, alpha: float, n_most: int) -> Array:
    """Returns the one-sided level of each look, such that all looks together have level alpha.

        spent by look k: alpha · (n_k / n_most)^1.5

    A claim is made at look k if its p is at most the k-th level. The levels are those of a
    normal process with independent steps, whose crossing is what each look may add; t tests take
    them as levels of their own p.

    Args:
        n_seeds: at each look, ascending, at most n_most.
        alpha: of all looks.
        n_most: seeds at the last planned look.

    Source: Lan and DeMets, Biometrika 70 (1983); power family: Kim and DeMets, Biometrika 74
    (1987); recursion: Armitage, McPherson and Rowe, J. R. Stat. Soc. A 132 (1969); levels for t
    tests: Jennison and Turnbull, Group Sequential Methods (1999), section 4.4.
    """
    spent = alpha * (np.array(n_seeds) / n_most) ** POWER
    steps = np.diff(np.array(n_seeds, dtype=float), prepend=0)
    grid, density = np.zeros(1), np.ones(1)  # of the sum so far, among those not stopped
    levels = []
    for n, step, to_spend in zip(n_seeds, steps, np.diff(spent, prepend=0), strict=True):
        limit = _limit(grid, density, step**0.5, float(to_spend), n**0.5)
        levels.append(float(stats.norm.sf(limit / n**0.5)))
        new = np.arange(-_FAR * n**0.5, limit, _STEP * n**0.5)
        kernel = stats.norm.pdf(new[:, None], grid, step**0.5)
        grid, density = new, kernel @ density * (1 if len(grid) == 1 else grid[1] - grid[0])
    return np.array(levels)


def _limit(grid: Array, density: Array, step: float, to_spend: float, scale: float) -> float:
    """The value that the next sum exceeds with probability `to_spend`."""
    width = 1.0 if len(grid) == 1 else grid[1] - grid[0]

    def excess(limit: float) -> float:
        return float(stats.norm.sf(limit, grid, step) @ density * width) - to_spend

    return float(optimize.brentq(excess, -_FAR * scale, _FAR * scale))
