"""Which trials come next, and whose they are, however many processes search at once.

Processes choose one after the other, under a lock in the sweep's folder. Whoever begins a trial
holds its claim there until Optuna has been told what became of it; a trial that Optuna takes for
running and that nobody claims was interrupted: whoever comes next takes it up, with its number,
settings and folders. It is the same for every storage, and needs no clock but the claims' own.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from filelock import FileLock
from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from lora_sweep.files import writing
from lora_sweep.search.space import Space
from lora_sweep.store.claims import Claims
from lora_sweep.store.search_record import TRIALS


@contextmanager
def one_at_a_time(sweep_dir: Path) -> Iterator[None]:
    """Holds the lock under which the processes of a search choose, one after the other."""
    folder = sweep_dir / TRIALS
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Batch:
    """Trials to run now.

    Attributes:
        trials: claimed by this process.
        n_elsewhere: trials that other processes run just now.
    """

    trials: list[Trial]
    n_elsewhere: int


class TrialQueue:
    """The trials of one study that are still to be run."""

    def __init__(self, study: Study, storage: BaseStorage, sweep_dir: Path, space: Space) -> None:
        """Takes the study, its storage, the sweep's folder and what is searched.

        Args:
            study: Optuna's.
            storage: of the study.
            sweep_dir: the sweep's folder.
            space: what is searched.
        """
        self.study, self.storage, self.space = study, storage, space
        self.sweep_dir = sweep_dir
        self.claims = Claims(sweep_dir / TRIALS)
        self._held: dict[int, ExitStack] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Gives back, at the end, the trials that this process has taken and not told Optuna."""
        try:
            yield
        finally:
            for number in list(self._held):
                self.give_back(number)

    def take(self, *, n_trials: int, size: int) -> Batch:
        """Returns the next trials, claimed.

        Args:
            n_trials: of the whole study.
            size: most trials of a batch. New ones fill it up to a multiple, so that a search
                that was stopped goes on with the batches that it would have had.
        """
        with one_at_a_time(self.sweep_dir):
            n_begun, running = self._begun()
            others = [one.number for one in running if one.number not in self._held]
            taken = list(islice(filter(self._take, others), size))
            room = -n_begun % size if taken else size - n_begun % size
            room = min(room, size - len(taken), n_trials - n_begun)
            trials = [self._trial(number) for number in taken]
            trials += [self._new() for _ in range(room)]
        return Batch(trials, len(others) - len(taken))

    def give_back(self, number: int) -> None:
        """Gives up the claim of a trial that was taken."""
        self._held.pop(number).close()

    def seed(self) -> int:
        """Returns the seed of a search that was given none: drawn once, kept in the study."""
        with one_at_a_time(self.sweep_dir):
            if "seed" not in self.study.user_attrs:
                self.study.set_user_attr("seed", secrets.randbits(32))
            return int(self.study.user_attrs["seed"])

    def _begun(self) -> tuple[int, list[FrozenTrial]]:
        """How many trials were begun, and those of them that Optuna takes for running."""
        trials = self.study.get_trials(deepcopy=False)
        begun = [trial for trial in trials if trial.state is not TrialState.WAITING]
        return len(begun), [trial for trial in begun if trial.state is TrialState.RUNNING]

    def _take(self, number: int) -> bool:
        """Claims an interrupted trial; false if it is another process's, or was told meanwhile."""
        if not self._claim(number):
            return False
        if self.storage.get_trial(self._id(number)).state is TrialState.RUNNING:
            return True
        self.give_back(number)
        return False

    def _claim(self, number: int) -> bool:
        with ExitStack() as held:
            if held.enter_context(self.claims.claimed(f"trial-{number}")) is None:
                return False
            self._held[number] = held.pop_all()
        return True

    def _new(self) -> Trial:
        trial = self.study.ask()
        self._claim(trial.number)
        return self._suggested(trial)

    def _trial(self, number: int) -> Trial:
        return self._suggested(Trial(self.study, self._id(number)))

    def _suggested(self, trial: Trial) -> Trial:
        """The trial with all its settings; those that are stored stay."""
        for name, distribution in self.space.distributions.items():
            trial._suggest(name, distribution)
        return trial

    def _id(self, number: int) -> int:
        study_id = self.storage.get_study_id_from_name(self.study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, number)
