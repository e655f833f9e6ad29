"""A second look at the best trials: the best of many noisy ones owes a part of it to chance."""

from collections.abc import Sequence

import numpy as np
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

FOLDERS = "folders"
SEEDS = "seeds"


def best_trials(study: Study, n_best: int) -> list[FrozenTrial]:
    """Returns the trials to look at again, each with runs of its own.

    Args:
        study: with one objective: its best trials, best first, the earlier one of equals. With
            two: points of its Pareto front from one end to the other, evenly spread in order.
        n_best: at most so many.
    """
    if len(study.directions) == 1:
        return _different(_ranked(study))[:n_best]
    front = _different(sorted(study.best_trials, key=lambda trial: (trial.values, trial.number)))
    places = np.unique(np.linspace(0, len(front) - 1, min(n_best, len(front))).round().astype(int))
    return [front[place] for place in places]


def fresh_seeds(used: Sequence[int], n_seeds: int) -> range:
    """Returns the seeds that follow on those that trials have used."""
    first = max(used) + 1
    return range(first, first + n_seeds)


def _ranked(study: Study) -> list[FrozenTrial]:
    sign = -1 if study.direction is StudyDirection.MAXIMIZE else 1
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(finished, key=lambda trial: (sign * trial.values[0], trial.number))


def _different(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The first one of those that came to the same runs."""
    by_runs: dict[tuple[str, ...], FrozenTrial] = {}
    for trial in trials:
        by_runs.setdefault(tuple(trial.user_attrs[FOLDERS]), trial)
    return list(by_runs.values())
