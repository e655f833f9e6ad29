"""How groups of adapted matrices gain or lose rank, over many runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Movement:
    """How the mean rank of a group of matrices moved.

    Attributes:
        group: its name.
        mean_before, mean_after: mean rank over the group and all runs.
        n_up, n_down: runs in which the group's mean rank rose or fell.
        n_runs: all runs.
        p: two-sided p of the sign test over the runs that moved at all.
    """

    group: str
    mean_before: float
    mean_after: float
    n_up: int
    n_down: int
    n_runs: int
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether so many runs went one way that chance does not explain it."""
        return self.p <= 0.05


def movements(before: Array, after: Array, groups: Mapping[str, Sequence[int]]) -> list[Movement]:
    """Returns how each group's mean rank moved.

    Args:
        before: ranks of every run and matrix (n_runs, N).
        after: the same later (n_runs, N).
        groups: name -> positions of its matrices.

    Raises:
        ValueError: the shapes differ.

    Source: sign test (scipy's `binomtest`).
    """
    if before.shape != after.shape or before.ndim != 2:
        raise ValueError(
            f"before and after must both be (n_runs, N), but got {before.shape} and {after.shape}"
        )
    return [_movement(name, before[:, own], after[:, own]) for name, own in groups.items()]


def thirds(n_matrices: int) -> dict[str, list[int]]:
    """Returns the first, middle and last third of the matrices; sizes differ by one at most."""
    parts = np.array_split(np.arange(n_matrices), 3)
    names = ("first third", "middle third", "last third")
    return {name: part.tolist() for name, part in zip(names, parts, strict=True) if len(part)}


def _movement(group: str, before: Array, after: Array) -> Movement:
    step = after.mean(axis=1) - before.mean(axis=1)  # (n_runs,)
    n_up, n_down = int((step > 0).sum()), int((step < 0).sum())
    moved = n_up + n_down
    return Movement(
        group=group,
        mean_before=float(before.mean()),
        mean_after=float(after.mean()),
        n_up=n_up,
        n_down=n_down,
        n_runs=len(step),
        p=float(stats.binomtest(n_up, moved).pvalue) if moved else 1.0,
    )
