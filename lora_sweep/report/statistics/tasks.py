"""Values of several tasks, seed by seed -> their mean over the tasks, each weighing the same.

The tasks are these tasks: an interval says where the mean over them would lie with other seeds,
and nothing of tasks that were not tried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from lora_sweep.report.statistics.paired import CONFIDENCE, Array, has_spread

LEAST_SHARED = 3
"""Seeds that all tasks must have in common to be taken as blocks."""


@dataclass(frozen=True)
class TaskMean:
    """A mean over tasks.

    Attributes:
        mean: of the tasks' means.
        error: its standard error; NaN where nothing is known of it.
        df: degrees of freedom of the error.
        n_seeds: that all tasks share; None where each task has its own.
    """

    mean: float
    error: float
    df: float
    n_seeds: int | None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % t interval; infinite where nothing is known of the error."""
        if np.isnan(self.error):
            return -np.inf, np.inf
        half = float(special.stdtrit(self.df, (1 + CONFIDENCE) / 2)) * self.error
        return self.mean - half, self.mean + half

    def p_above(self, margin: float) -> float:
        """Returns the one-sided p of «the true mean is at most the margin»; 1 if unknown."""
        if np.isnan(self.error):
            return 1.0
        return float(special.stdtr(self.df, (margin - self.mean) / self.error))


@dataclass(frozen=True)
class TaskClaims:
    """One-sided p of what may be claimed of a mean difference, as of a `PairedComparison`."""

    p_better: float
    p_worse: float
    p_equivalent: float


def claims_of(difference: TaskMean, *, region: float) -> TaskClaims:
    """Returns the p of each claim.

    Args:
        difference: init minus baseline, over the tasks.
        region: of practical equivalence, at least 0, in the unit of the values.

    Source: two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987).
    """
    opposite = TaskMean(-difference.mean, difference.error, difference.df, difference.n_seeds)
    inside = (opposite.p_above(-region), difference.p_above(-region))
    return TaskClaims(difference.p_above(region), opposite.p_above(region), max(inside))


def mean_over_tasks(tasks: Sequence[Mapping[int, float]]) -> TaskMean:
    """Returns the mean over tasks, each weighing the same.

    Where the tasks share three seeds or more, the value of each shared seed is its mean over the
    tasks, and the t interval is over the seeds. Otherwise

        mean = Σ m_t / T,   error² = Σ s_t² / n_t / T²

    with Welch and Satterthwaite's degrees of freedom.

    Args:
        tasks: of each task seed -> value; at least one task, each with at least one seed.

    Source: tasks and seeds as blocks (Bouthillier et al., MLSys 2021); Satterthwaite, Biometrics
    Bulletin 2 (1946).
    """
    shared = sorted(set.intersection(*(set(task) for task in tasks)))
    if len(shared) >= LEAST_SHARED:
        by_seed = np.array([[task[seed] for seed in shared] for task in tasks]).mean(axis=0)
        n = len(shared)
        return TaskMean(float(by_seed.mean()), _error(by_seed), n - 1.0, n)
    values = [np.array(list(task.values())) for task in tasks]
    mean = float(np.mean([own.mean() for own in values]))
    parts = np.array([_error(own) for own in values]) ** 2 / len(tasks) ** 2
    if np.isnan(parts).any():
        return TaskMean(mean, np.nan, np.nan, None)
    own_df = np.array([len(own) - 1.0 for own in values])
    df = float(parts.sum() ** 2 / (parts**2 / own_df).sum())
    return TaskMean(mean, float(parts.sum() ** 0.5), df, None)


def average_ranks(tasks: Sequence[Mapping[int, Array]], n_arms: int) -> list[TaskMean]:
    """Returns each arm's average rank over seeds and tasks: 1 is best, ties share their ranks.

    Args:
        tasks: of each task seed -> values of all arms (n_arms,), higher being better.
        n_arms: how many are ranked.

    Source: Demšar, JMLR 7 (2006), section 3.2.2; the interval is that of `mean_over_tasks`.
    """
    ranked = [{seed: stats.rankdata(-own) for seed, own in task.items()} for task in tasks]
    return [
        mean_over_tasks([{seed: float(own[i]) for seed, own in task.items()} for task in ranked])
        for i in range(n_arms)
    ]


def _error(values: Array) -> float:
    """The standard error of a mean; NaN where the values show no spread."""
    if not has_spread(values):
        return float("nan")
    return float(values.std(ddof=1) / len(values) ** 0.5)
