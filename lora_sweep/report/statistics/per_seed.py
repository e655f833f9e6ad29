"""An init's runs -> one value a seed: over all settings, or at those that earlier seeds choose.

The seed is the unit of every claim: runs of one seed at other learning rates share their data
order and starts, so they are no further evidence. Two questions may be asked of an init with
several settings, and the one that counts is to be named before its runs are seen:

- `mean`: is the init better whatever the setting? The value of a seed is its mean over all.
- `tuned`: is it better once its settings are tuned? The value of a seed is its mean over the
  settings that the seeds before it can't tell from their best, so no value takes part in the
  choice that it is judged by.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SeedValues:
    """What an init's runs say, a seed each.

    Attributes:
        values: (n,); NaN for a seed with no run that trained.
        n_failed, n_runs: runs that were judged, (n,) each: failed ones, and all that ended.
    """

    values: Array
    n_failed: NDArray[np.int64]
    n_runs: NDArray[np.int64]

    @property
    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Failed runs and all that ended, of each seed."""
        return self.n_failed, self.n_runs

    def minus(self, baseline: "SeedValues") -> Array:
        """Returns the differences at the seeds where both have trained.

        Args:
            baseline: of the same seeds.
        """
        d = self.values - baseline.values
        return np.asarray(d[~np.isnan(d)])

    def at(self, places: list[int]) -> "SeedValues":
        """Returns what stands at these places."""
        return SeedValues(self.values[places], self.n_failed[places], self.n_runs[places])


def over_settings(values: Array, failed: Flags) -> SeedValues:
    """Returns each seed's mean over all settings.

    Where a seed lacks some of them, the settings' own levels are taken out first: the least
    squares of x = setting + seed, the seed's part of it at the mean setting.

    Args:
        values: of every run (n_settings, n); NaN where there is none.
        failed: whether the run failed (n_settings, n); its value does not count.

    Source: two-way layout with missing cells, ours in this use.
    """
    trained = np.where(failed, np.nan, values)
    return SeedValues(_seed_levels(trained), *_counts(values, failed, np.ones_like(failed)))


def over_chosen_settings(values: Array, failed: Flags) -> SeedValues:
    """Returns each seed's mean over the settings that the earlier seeds can't tell from the best.

    Such are those whose mean lies within one standard error (of the paired difference) of the
    best mean. The first two seeds have nothing to choose by, and take all settings. In the
    choice a run that failed counts with its metric, or as the lowest seen where it left none.
    A seed that lacks some of its settings has the mean of the others, at their levels.

    Args:
        values: of every run (n_settings, n), seeds in the order in which they count; NaN where
            there is none.
        failed: whether the run failed (n_settings, n).

    Source: one-standard-error rule (Breiman et al., Classification and Regression Trees, 1984,
    section 3.4.3), on earlier seeds; ours in this use.
    """
    judged = np.ones_like(failed)
    for j in range(2, values.shape[1]):
        judged[:, j] = _near_best(_with_failures(values[:, :j], failed[:, :j]))
    trained = np.where(judged & ~failed, values, np.nan)
    return SeedValues(_mean_of_known(trained), *_counts(values, failed, judged))


def _with_failures(values: Array, failed: Flags) -> Array:
    """The values with the lowest of them for failed runs that left none."""
    known = values[~np.isnan(values)]
    lowest = known.min() if known.size else np.nan
    return np.where(failed & np.isnan(values), lowest, values)


def _near_best(past: Array) -> Flags:
    """Which settings (n_settings,) lie within one standard error of the best of them."""
    means = _mean_of_known(past.T)
    if np.isnan(means).all():
        return np.ones(len(past), dtype=bool)
    gaps = past[np.nanargmax(means)] - past  # (n_settings, j)
    n = (~np.isnan(gaps)).sum(axis=1)
    mean = _mean_of_known(gaps.T)
    squares = np.nansum((gaps - mean[:, None]) ** 2, axis=1)
    error = np.sqrt(squares / np.maximum(1, (n - 1) * n))
    # A setting that failed once and equals the best otherwise lies at exactly one standard error.
    return np.asarray((n < 2) | (mean <= error * (1 + 1e-9)))


def _seed_levels(trained: Array) -> Array:
    known = ~np.isnan(trained)
    if known.all(axis=0).sum() == known.any(axis=0).sum():  # no seed lacks only some settings
        return np.asarray(_mean_of_known(trained))
    n_settings, n = trained.shape
    setting, seed = np.nonzero(known)
    # Where settings share no seed the least norm decides, which must not depend on the metric's 0.
    center = trained[known].mean()
    design = np.zeros((len(seed), n_settings + n))
    design[np.arange(len(seed)), setting] = 1
    design[np.arange(len(seed)), n_settings + seed] = 1
    fitted = np.linalg.lstsq(design, trained[known] - center, rcond=None)[0]
    levels = center + fitted[n_settings:] + fitted[:n_settings][known.any(axis=1)].mean()
    return np.where(known.any(axis=0), levels, np.nan)


def _mean_of_known(values: Array) -> Array:
    """Means over the first axis of what is not NaN; NaN where nothing is known."""
    n = (~np.isnan(values)).sum(axis=0)
    sums = np.nansum(values, axis=0)
    return np.asarray(np.where(n > 0, sums / np.maximum(1, n), np.nan))


def _counts(
    values: Array, failed: Flags, judged: Flags
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ended = judged & (failed | ~np.isnan(values))
    return (judged & failed).sum(axis=0), ended.sum(axis=0)
