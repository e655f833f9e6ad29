"""How groups of adapted matrices gain or lose rank, over many runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lora_sweep.report.statistics.paired import ALPHA, has_spread, holm

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Movement:
    """How the mean rank of a group of matrices moved.

    Attributes:
        group: its name.
        mean_before, mean_after: mean rank over the group; each seed weighs the same, with the
            mean of its runs, as in the test.
        n_runs, n_seeds: that were seen.
        p: two-sided p of the t test over the seeds' mean movements, after Holm over the groups.
    """

    group: str
    mean_before: float
    mean_after: float
    n_runs: int
    n_seeds: int
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether chance does not explain the movement."""
        return self.p <= ALPHA


def movements(
    before: Array, after: Array, seeds: Sequence[int], groups: Mapping[str, Sequence[int]]
) -> list[Movement]:
    """Returns how each group's mean rank moved, a seed being the unit: its runs are not apart.

    Args:
        before: ranks of every run and matrix (n_runs, N).
        after: the same later (n_runs, N).
        seeds: of the runs (n_runs).
        groups: name -> positions of its matrices.

    Raises:
        ValueError: the shapes differ.

    Source: one-sample t test; Holm 1979.
    """
    if before.shape != after.shape or before.ndim != 2:
        raise ValueError(
            f"before and after must both be (n_runs, N), but got {before.shape} and {after.shape}"
        )
    of_seeds = _mean_of_seeds(before, seeds), _mean_of_seeds(after, seeds)
    steps = of_seeds[1] - of_seeds[0]
    adjusted = holm([_t_test_p(steps[:, own].mean(axis=1)) for own in groups.values()])
    return [
        Movement(
            group=name,
            mean_before=float(of_seeds[0][:, own].mean()),
            mean_after=float(of_seeds[1][:, own].mean()),
            n_runs=len(before),
            n_seeds=len(steps),
            p=p,
        )
        for (name, own), p in zip(groups.items(), adjusted, strict=True)
    ]


def thirds(n_matrices: int) -> dict[str, list[int]]:
    """Returns the first, middle and last third of the matrices; sizes differ by one at most."""
    parts = np.array_split(np.arange(n_matrices), 3)
    names = ("first third", "middle third", "last third")
    return {name: part.tolist() for name, part in zip(names, parts, strict=True) if len(part)}


def _mean_of_seeds(ranks: Array, seeds: Sequence[int]) -> Array:
    """Mean ranks over each seed's runs (n_seeds, N)."""
    of_run = np.asarray(seeds)
    return np.array([ranks[of_run == seed].mean(axis=0) for seed in np.unique(of_run)])


def _t_test_p(steps: Array) -> float:
    """Two-sided p of «the mean step is 0»; 1 where nothing is known of the spread."""
    if not has_spread(steps):
        return 1.0
    return float(stats.ttest_1samp(steps, 0.0).pvalue)
