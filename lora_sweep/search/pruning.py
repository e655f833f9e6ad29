"""Which trials end before their time: Optuna's pruners, asked from inside a pack.

A trial is the runs of all its seeds. After an epoch they stand at the same place of one pack, so
their median is the trial's value of that epoch; Wilcoxon's test compares seed with seed. Where
memory leaves room for a part of them alone, a trial is not judged by that part: it does not end.
"""

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.storages import BaseStorage

from lora_sweep.config.schema import PRUNER_SETTINGS, PrunerConfig
from lora_sweep.search.storage import open_storage

PRUNED_EPOCH = "pruned_epoch"


_PRUNERS: dict[str, type[BasePruner]] = {
    "none": NopPruner,
    "median": MedianPruner,
    "successive_halving": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
    "wilcoxon": WilcoxonPruner,
}


def make_pruner(config: PrunerConfig, *, n_epochs: int) -> BasePruner:
    """Returns Optuna's pruner.

    Args:
        config: which one, and its numbers.
        n_epochs: of a training.
    """
    given = {
        theirs: getattr(config, ours) for ours, theirs in PRUNER_SETTINGS[config.name].items()
    }
    own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if config.name == "hyperband":
        own["max_resource"] = n_epochs
    return _PRUNERS[config.name](**own)


@dataclass
class OptunaStopPolicy:
    """Asks Optuna, after each epoch of a pack, which of its trials to end.

    It can be sent to another process: the study is opened where it is asked.

    Attributes:
        place: of the storage, see `storage_place`.
        study_name: of the study.
        pruner: Optuna's, never NopPruner.
        n_seeds: of a trial.
        runs: of the trials under way: name of a run's folder -> number of its trial, and its
            seed's place among the trial's seeds.
    """

    place: str = field(repr=False)
    study_name: str
    pruner: BasePruner
    n_seeds: int
    runs: dict[str, tuple[int, int]] = field(default_factory=dict)
    _opened: tuple[optuna.Study, BaseStorage] | None = field(default=None, init=False, repr=False)

    def add(self, number: int, names: Sequence[str]) -> None:
        """Takes a trial; runs that one under way has too are left to that one.

        Args:
            number: of the trial.
            names: of its runs' folders, in order of seeds.
        """
        own = {name: (number, place) for place, name in enumerate(names)}
        self.runs = own | self.runs

    def drop(self, number: int) -> None:
        """Forgets a trial that has ended."""
        self.runs = {name: own for name, own in self.runs.items() if own[0] != number}

    def stopped(self, epoch: int, metrics: Mapping[str, float]) -> Collection[str]:
        """Returns the names of runs that end now: all of a trial, or none.

        Args:
            epoch: that they have ended, 1 for the first.
            metrics: run's name -> the metric that a table would report now, 0 to 1.
        """
        trials: dict[int, dict[str, float]] = {}
        for name, metric in metrics.items():
            if name in self.runs:
                trials.setdefault(self.runs[name][0], {})[name] = metric
        return [
            name
            for number, own in trials.items()
            if self._ends(number, epoch, own)
            for name in own
        ]

    def _ends(self, number: int, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Reports one trial's values, if those of all its runs are there; whether it ends."""
        study, storage = self._open()
        study_id = storage.get_study_id_from_name(self.study_name)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
        is_whole = len(metrics) == self.n_seeds
        for step, value in self._steps(epoch, metrics).items() if is_whole else ():
            storage.set_trial_intermediate_value(trial_id, step, value)
        trial = storage.get_trial(trial_id)
        # What was decided before a kill stays so: the pruner may ask another time for more.
        is_decided = PRUNED_EPOCH in trial.user_attrs
        if not is_decided and not (is_whole and self.pruner.prune(study, trial)):
            return False
        storage.set_trial_user_attr(trial_id, PRUNED_EPOCH, epoch)
        return True

    def _steps(self, epoch: int, metrics: Mapping[str, float]) -> dict[int, float]:
        """Optuna's step -> value: an epoch, or an instance of Wilcoxon's test."""
        if not isinstance(self.pruner, WilcoxonPruner):
            return {epoch: statistics.median(metrics.values())}
        return {
            epoch * self.n_seeds + self.runs[name][1]: value for name, value in metrics.items()
        }

    def _open(self) -> tuple[optuna.Study, BaseStorage]:
        if self._opened is None:
            storage = open_storage(self.place)
            study = optuna.load_study(
                study_name=self.study_name, storage=storage, pruner=self.pruner
            )
            self._opened = study, storage
        return self._opened

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_opened": None}
