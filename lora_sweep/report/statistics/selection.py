"""What choosing the best of many does: honest values after a choice, and the premium of chance."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
_MOST_AT_ONCE = 2_000_000
"""Relabelled values in memory."""


@dataclass(frozen=True)
class SelectionPremium:
    """How far the best of many cells stands out.

    Attributes:
        n_cells: cells that were compared.
        observed: the best cell's median minus the mean of all cells' medians.
        expected: the same by chance, were all cells equal: its mean over relabelled sweeps.
        upper: what chance exceeds in 5 % of them.
        p: share of relabelled sweeps that stand out at least as far.
    """

    n_cells: int
    observed: float
    expected: float
    upper: float
    p: float


def leave_one_seed_out(values: Array) -> Array:
    """Returns each seed's value (..., n) at the setting that the other seeds choose.

    For seed j it is the setting with the highest mean over all seeds but j, the first of equals.
    So no value takes part in the choice that it is then judged by.

    Args:
        values: (..., n_settings, n); one setting leaves nothing to choose.

    Raises:
        ValueError: there is a choice, and only one seed to make it with.

    Source: leave-one-out selection; ours in this use.
    """
    n_settings, n = values.shape[-2:]
    if n_settings == 1:
        return np.asarray(values[..., 0, :], dtype=np.float64)
    if n < 2:
        raise ValueError(f"n must be at least 2 seeds to choose a setting, but got {n}")
    others = (values.sum(axis=-1, keepdims=True) - values) / (n - 1)  # (..., n_settings, n)
    choice = others.argmax(axis=-2, keepdims=True)
    return np.asarray(np.take_along_axis(values, choice, axis=-2)[..., 0, :])


def selection_premium(values: Array, *, n_resamples: int = 2_000) -> SelectionPremium:
    """Returns how far the best of the cells stands out, and how far chance alone would lift it.

    Chance: within each seed the cells' labels are permuted, so that nothing is left of the cells
    and all of the seeds.

    Args:
        values: (n_cells, n_seeds), at least 2 cells.
        n_resamples: relabelled sweeps.

    Raises:
        ValueError: there are fewer than 2 cells.

    Source: permutation within blocks; ours in this use.
    """
    if len(values) < 2:
        raise ValueError(f"n_cells must be at least 2, but got {len(values)}")

    def stands_out(*cells: Array, axis: int) -> Array:
        medians = np.stack([np.median(cell, axis=axis) for cell in cells])
        return np.asarray(medians.max(axis=0) - medians.mean(axis=0))

    result = _permute(values, stands_out, n_resamples)
    return SelectionPremium(
        n_cells=len(values),
        observed=float(result.statistic),
        expected=float(result.null_distribution.mean()),
        upper=float(np.quantile(result.null_distribution, 0.95)),
        p=float(result.pvalue),
    )


def init_effect_p(values: Array, *, n_resamples: int = 9_999) -> float:
    """Returns the p of «the init makes no difference», over the whole grid.

    The labels of the inits are permuted within each block (one seed and setting); the statistic
    is the largest distance of an init's mean from the mean of all.

    Args:
        values: (n_inits, n_blocks), at least 2 of each.
        n_resamples: random relabellings, where not all can be listed.

    Raises:
        ValueError: there is nothing to permute.

    Source: permutation test in a randomised block design, max statistic.
    """
    if min(values.shape) < 2:
        raise ValueError(f"there must be 2 inits and 2 blocks at least, but got {values.shape}")

    def largest_contrast(*inits: Array, axis: int) -> Array:
        means = np.stack([init.mean(axis=axis) for init in inits])
        return np.asarray(np.abs(means - means.mean(axis=0)).max(axis=0))

    result = _permute(values, largest_contrast, n_resamples)
    return float(result.pvalue)


def _permute(values: Array, statistic: Callable[..., Array], n_resamples: int) -> Any:
    """The one-sided test under permutations of the rows' labels within each column."""
    return stats.permutation_test(
        list(values),
        statistic,
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        batch=max(1, _MOST_AT_ONCE // values.size),
        n_resamples=n_resamples,
        rng=np.random.default_rng(0),
    )


def expected_best(values: Array, n_runs: int) -> float:
    """Returns the expected best of n runs drawn from those seen, with replacement.

        E[max] = sum over i of x_(i) ((i / N)^n - ((i - 1) / N)^n),   x_(1) <= ... <= x_(N)

    Args:
        values: of all runs (N,).
        n_runs: n, at least 1.

    Source: Dodge et al., Show Your Work (arXiv 1909.03004), section 3.
    """
    ordered = np.sort(values)
    share = np.arange(len(ordered) + 1) / len(ordered)
    return float((ordered * np.diff(share**n_runs)).sum())
