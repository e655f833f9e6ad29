"""What choosing the best of many does: does the init matter, and what chance adds to a best."""

from dataclasses import dataclass

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
        n_cells: that were compared, each with a trained run.
        n_seeds: fewest and most that a cell has a value of.
        observed: the best cell's median minus the mean of all cells' medians.
        expected: the same by chance, were all cells equal: its mean over relabelled sweeps.
        upper: what chance exceeds in 5 % of them.
        p: share of relabelled sweeps that stand out at least as far.
    """

    n_cells: int
    n_seeds: tuple[int, int]
    observed: float
    expected: float
    upper: float
    p: float


def selection_premium(values: Array, *, n_resamples: int = 2_000) -> SelectionPremium:
    """Returns how far the best of the cells stands out, and how far chance alone would lift it.

    Chance: within each seed the names of the inits and those of the settings are dealt out anew,
    so that nothing is left of inits and settings, and all of the seeds; a seed's runs stay
    together, as they depend on each other.

    Args:
        values: (n_inits, n_settings, n_seeds); NaN where a run has none. A cell without any is
            left out.
        n_resamples: relabelled sweeps.

    Raises:
        ValueError: fewer than 2 cells have a value.

    Source: permutation within blocks; ours in this use.
    """
    n_cells = n_cells_with_value(values)
    if n_cells < 2:
        raise ValueError(f"cells with a value must be at least 2, but got {n_cells}")
    n_seeds = (~np.isnan(values)).sum(axis=-1)
    rng = np.random.default_rng(0)
    observed = _stands_out(values[None])[0]
    at_once = max(1, _MOST_AT_ONCE // values.size)
    chance = np.concatenate(
        [
            _stands_out(_relabelled(values, min(at_once, n_resamples - start), rng))
            for start in range(0, n_resamples, at_once)
        ]
    )
    return SelectionPremium(
        n_cells=n_cells,
        n_seeds=(int(n_seeds[n_seeds > 0].min()), int(n_seeds.max())),
        observed=float(observed),
        expected=float(chance.mean()),
        upper=float(np.quantile(chance, 0.95)),
        p=float(((chance >= observed - 1e-12).sum() + 1) / (n_resamples + 1)),
    )


def n_cells_with_value(values: Array) -> int:
    """Returns how many cells have a value at any seed.

    Args:
        values: (n_inits, n_settings, n_seeds); NaN where a run has none.
    """
    return int((~np.isnan(values)).any(axis=-1).sum())


def _relabelled(values: Array, n: int, rng: np.random.Generator) -> Array:
    """N sweeps with inits and settings relabelled within each seed: (n, n_inits, ..., n_seeds)."""
    n_inits, n_settings, n_seeds = values.shape
    init = rng.permuted(np.tile(np.arange(n_inits), (n, n_seeds, 1)), axis=-1)
    setting = rng.permuted(np.tile(np.arange(n_settings), (n, n_seeds, 1)), axis=-1)
    seed = np.arange(n_seeds)[:, None, None]
    dealt = values[init[..., :, None], setting[..., None, :], seed]  # (n, n_seeds, I, K)
    return np.moveaxis(dealt, 1, -1)


def _stands_out(values: Array) -> Array:
    """The best cell's median minus the mean of all cells' medians, of each sweep (n, I, K, S)."""
    cells = values.reshape(len(values), -1, values.shape[-1])
    if not np.isnan(cells).any():
        medians = np.median(cells, axis=-1)  # many times as fast as with NaN
        return np.asarray(medians.max(axis=1) - medians.mean(axis=1))
    is_empty = np.asarray(np.isnan(cells).all(axis=-1))
    medians = np.nanmedian(np.where(is_empty[..., None], 0.0, cells), axis=-1)
    medians[is_empty] = np.nan
    return np.asarray(np.nanmax(medians, axis=1) - np.nanmean(medians, axis=1))


def init_effect_p(values: Array, *, n_resamples: int = 9_999) -> float:
    """Returns the p of «the init makes no difference», over the whole grid.

    The names of the inits are dealt out anew within each seed, over all settings at once, since
    runs of one seed depend on each other; the statistic is the largest distance of an init's
    mean from the mean of all.

    Args:
        values: each init's level at each seed (n_inits, n_seeds), at least 2 of each.
        n_resamples: random relabellings, where not all can be listed.

    Raises:
        ValueError: there is nothing to permute.

    Source: permutation test in a randomised block design, max statistic.
    """
    if min(values.shape) < 2:
        raise ValueError(f"there must be 2 inits and 2 seeds at least, but got {values.shape}")

    def largest_contrast(*inits: Array, axis: int) -> Array:
        means = np.stack([init.mean(axis=axis) for init in inits])
        return np.asarray(np.abs(means - means.mean(axis=0)).max(axis=0))

    result = stats.permutation_test(
        list(values),
        largest_contrast,
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        batch=max(1, _MOST_AT_ONCE // values.size),
        n_resamples=n_resamples,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


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
