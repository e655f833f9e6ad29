"""The search itself: propose trials, train them, tell Optuna, until all are there.

Where an executor's workers train, a trial is told as soon as it has ended, and the next one is
proposed: no worker waits for another's trial. Where this process trains, trials come in batches,
which fill its packs.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from hydra.core.utils import JobReturn, JobStatus
from optuna.pruners import NopPruner
from optuna.trial import Trial, TrialState

from lora_sweep.error_lines import first_line
from lora_sweep.errors import LoraSweepError, SweepFailedError
from lora_sweep.interrupt import StoppedError
from lora_sweep.launch.cells import Cell
from lora_sweep.launch.jobs_under_way import JobsUnderWay
from lora_sweep.search.confirm import FOLDERS, SEEDS, best_trials, fresh_seeds
from lora_sweep.search.failures import check_failures, check_some_finished
from lora_sweep.search.jobs import Jobs
from lora_sweep.search.outcomes import TrialOutcome, outcome_of, reported_metrics
from lora_sweep.search.pruning import PRUNED_EPOCH, OptunaStopPolicy
from lora_sweep.search.results import (
    ERROR,
    METRIC,
    METRICS,
    NOT_YET,
    Importances,
    best_so_far,
    importances,
    objective_names,
    trial_record,
    write_results,
)
from lora_sweep.search.settings import SearchSettings
from lora_sweep.search.storage import without_password
from lora_sweep.search.trials import TrialQueue
from lora_sweep.store.search_record import Confirmation, SearchRecord, read_search, write_search

log = logging.getLogger(__name__)

WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class Named:
    """What a search is called by in its record.

    Attributes:
        place: of the storage.
        sampler, pruner: their names.
    """

    place: str
    sampler: str
    pruner: str


class Search:
    """One process's part in a study."""

    def __init__(
        self,
        settings: SearchSettings,
        queue: TrialQueue,
        jobs: Jobs,
        named: Named,
        *,
        n_seeds: int,
    ) -> None:
        """Takes what `open_search` has made ready, and how many runs a trial has."""
        self.settings, self.queue, self.jobs, self.named = settings, queue, jobs, named
        self.study, self.n_seeds = queue.study, n_seeds
        record = read_search(jobs.sweep_dir)
        self.confirmed: tuple[Confirmation, ...] = () if record is None else record.confirmed
        self.stop_policy = self._stop_policy()
        self._under_way: dict[int, tuple[Trial, Cell]] = {}
        self._next_look = 0.0

    def run(self) -> None:
        """Runs what is left of the search, and looks at the best trials again.

        Raises:
            SweepFailedError: too many trials failed, or no trial finished.
            StoppedError: a signal came; the same command goes on.
            StorageError: something can't be written.
        """
        self._say_what_is_left()
        self.jobs.take_over(self._folders())
        try:
            self._run_trials()
            self._confirm()
        except (StoppedError, SweepFailedError):
            self._write(importances(self.study))
            raise
        self._write(importances(self.study), is_over=True)
        check_some_finished(self.study)
        write_results(self.jobs.sweep_dir, self.study, self.confirmed)

    def _run_trials(self) -> None:
        """Runs all trials that are left, and waits for those of other processes."""
        opened = self.jobs.launcher.open(n_runs=self.n_seeds, stop_policy=self.stop_policy)
        with self.queue.held(), opened as launched:
            while self._fill(launched) or self._under_way:
                ended = launched.ended()
                for number in sorted(ended):
                    self._tell(number, ended[number])
                if ended:
                    self._write()

    def _fill(self, launched: JobsUnderWay) -> bool:
        """Begins trials while there is room; false if none is left, here or elsewhere."""
        settings, now = self.settings, time.monotonic()
        size = self.jobs.launcher.n_together(settings.n_jobs)
        while now >= self._next_look and len(self._under_way) + size <= settings.n_jobs:
            check_failures(self.study, self.jobs.sweep_dir, max_failures=settings.max_failures)
            batch = self.queue.take(n_trials=settings.n_trials, size=size)
            if not batch.trials:
                self._next_look = now + WAIT_SECONDS
                return batch.n_elsewhere > 0
            self._begin(batch.trials, launched)
        return True

    def _begin(self, trials: Sequence[Trial], launched: JobsUnderWay) -> None:
        cells: dict[int, Cell] = {}
        for trial in trials:
            said = " ".join(f"{name}={_short(value)}" for name, value in trial.params.items())
            log.info("trial %d of %d: %s", trial.number, self.settings.n_trials, said)
            try:
                cell = self.jobs.cell(trial.params)
            except LoraSweepError as error:  # only one that somebody queued by hand
                self._fail(trial, error)
                continue
            trial.set_user_attr(FOLDERS, list(cell.runs))
            trial.set_user_attr(SEEDS, [settings["seed"] for settings in cell.runs.values()])
            cells[trial.number] = cell
            self._under_way[trial.number] = trial, cell
            if self.stop_policy is not None:
                self.stop_policy.add(trial.number, list(cell.runs))
        self._write()
        self.jobs.list_runs(cells.values(), self._folders())
        launched.add(cells)

    def _stop_policy(self) -> OptunaStopPolicy | None:
        pruner = self.study.pruner
        if isinstance(pruner, NopPruner):
            return None
        return OptunaStopPolicy(self.named.place, self.study.study_name, pruner, self.n_seeds)

    def _fail(self, trial: Trial, error: Exception) -> None:
        outcome = TrialOutcome(TrialState.FAIL, None, None, [], first_line(error))
        self._keep(trial, outcome)

    def _tell(self, number: int, job: JobReturn) -> None:
        trial, cell = self._under_way.pop(number)
        folders = self.jobs.folders(cell)
        self._keep(trial, outcome_of(job, folders, len(self.study.directions)))
        if self.stop_policy is not None:
            self.stop_policy.drop(number)
        self._next_look = 0.0

    def _keep(self, trial: Trial, outcome: TrialOutcome) -> None:
        """Tells Optuna what became of a trial, and says it in a line."""
        trial.set_user_attr(METRICS, outcome.metrics)
        if outcome.metric is not None and METRIC not in self.study.user_attrs:
            self.study.set_user_attr(METRIC, outcome.metric)
        if outcome.error is not None:
            trial.set_user_attr(ERROR, outcome.error)
        # The stop_policy notes the epoch in the storage: `trial` does not know of it.
        told = self.study.tell(trial, outcome.values, outcome.state)
        self.queue.give_back(trial.number)
        said = {
            TrialState.COMPLETE: " ".join(f"{value:.6g}" for value in outcome.values or ()),
            TrialState.PRUNED: f"pruned after epoch {told.user_attrs.get(PRUNED_EPOCH, '?')}",
            TrialState.FAIL: f"failed: {outcome.error}",
        }[outcome.state]
        log.info("trial %d: %s (%s)", trial.number, said, best_so_far(self.study))

    def _confirm(self) -> None:
        """Runs the best trials on fresh seeds."""
        confirm = self.settings.confirm
        chosen = best_trials(self.study, confirm.n_best)
        if not chosen:
            return
        cells = [self._fresh(trial) for trial in chosen]
        confirmed = self._confirmations(chosen, cells)
        if any(None in one.metrics for one in confirmed):
            log.info("the best trials once more, on %d fresh seeds each", confirm.n_seeds)
            first = max(self.settings.n_trials, len(self.study.get_trials(deepcopy=False)))
            self.jobs.list_runs(cells, self._folders())
            for job in self.jobs.launcher.launch(cells, first):
                if job.status is not JobStatus.COMPLETED:
                    log.warning("a second look failed: %s", job._return_value)
            confirmed = self._confirmations(chosen, cells)
        self.confirmed = confirmed

    def _fresh(self, trial: optuna.trial.FrozenTrial) -> Cell:
        seeds = fresh_seeds(trial.user_attrs[SEEDS], self.settings.confirm.n_seeds)
        return self.jobs.cell(trial.params, seed=seeds[0], n_seeds=len(seeds))

    def _confirmations(
        self, trials: Sequence[optuna.trial.FrozenTrial], cells: Sequence[Cell]
    ) -> tuple[Confirmation, ...]:
        """What is there of the second look, finished or not."""
        return tuple(
            Confirmation(
                number=trial.number,
                seeds=tuple(settings["seed"] for settings in cell.runs.values()),
                folders=tuple(cell.runs),
                metrics=tuple(reported_metrics(self.jobs.folders(cell))),
            )
            for trial, cell in zip(trials, cells, strict=True)
        )

    def _write(self, found: Importances = NOT_YET, *, is_over: bool = False) -> None:
        """Writes the record of the search so far.

        Args:
            found: importances and note; they take seconds in a long search, so only its end asks.
            is_over: whether nothing is left to run.
        """
        shares, note = found
        record = SearchRecord(
            study_name=self.study.study_name,
            storage=without_password(self.named.place),
            sampler=self.named.sampler,
            pruner=self.named.pruner,
            objectives=objective_names(self.study),
            directions=tuple(self.settings.directions),
            n_trials=self.settings.n_trials,
            trials=tuple(map(trial_record, self.study.get_trials(deepcopy=False))),
            importances=shares,
            importances_note=note,
            confirmed=self.confirmed,
            is_over=is_over,
        )
        write_search(self.jobs.sweep_dir, record)

    def _say_what_is_left(self) -> None:
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        n_there = sum(state.is_finished() for state in states)
        place = without_password(self.named.place)
        log.info("study %s in %s", self.study.study_name, place)
        if n_there >= self.settings.n_trials:
            log.info(
                "all %d trials are there: none is left to train; a larger "
                "hydra.sweeper.n_trials goes on",
                n_there,
            )
        elif n_there:
            log.info("%d of %d trials are there", n_there, self.settings.n_trials)

    def _folders(self) -> list[str]:
        """Names of the run folders of all trials, and of the second look at the best."""
        trials = self.study.get_trials(deepcopy=False)
        searched = [name for trial in trials for name in trial.user_attrs.get(FOLDERS, ())]
        return [*searched, *(name for again in self.confirmed for name in again.folders)]


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
