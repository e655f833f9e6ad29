"""Keeps what the training loop tells: history lines, the best state, the record, the progress."""

import dataclasses
import logging
import time
from typing import Any

import numpy as np

from lora_sweep.execution.origin import RunOrigin
from lora_sweep.metrics import known_value, metric_words
from lora_sweep.store.checkpoint import Checkpoint, write_checkpoint
from lora_sweep.store.epochs import (
    EpochRecord,
    best_from_of,
    chosen_epoch,
    counted_epochs,
    summary_of,
    tie_words,
)
from lora_sweep.store.predictions import DevLabels, save_predictions
from lora_sweep.store.record import FailureRecord, PrunedRecord, RunRecord
from lora_sweep.store.run_folder import PREDICTIONS_FILE, STATE_FILE, RunFolder
from lora_sweep.tensor_files import write_tensors
from lora_sweep.trackers.points import history_values, record_values
from lora_sweep.trackers.tracker import NoTracker, Tracker
from lora_sweep.training.evaluation import Evaluation
from lora_sweep.training.parameters import Parameters
from lora_sweep.training.snapshot import RunSnapshot
from lora_sweep.vocabulary import COLLAPSED, FAILED, FINISHED, PRUNED

log = logging.getLogger(__name__)

_EPOCH_FIELDS = tuple(field.name for field in dataclasses.fields(EpochRecord))


class RunRecorder:
    """Writes one run's folder as the training goes."""

    def __init__(
        self,
        folder: RunFolder,
        origin: RunOrigin,
        dev: DevLabels,
        *,
        checkpoint: Checkpoint | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        """Starts with nothing kept, or with what a checkpoint kept; the folder is ready for it."""
        self.folder, self.origin, self.dev = folder, origin, dev
        self.history: list[dict[str, Any]] = []
        self.epochs: list[EpochRecord] = []
        self.predictions: list[dict[str, Any]] = []
        self.state: Parameters = {}
        self.error: str | None = None
        self.pruned: PrunedRecord | None = None
        self.record: RunRecord | None = None
        self.started = time.perf_counter()
        self.tracker = tracker or NoTracker()
        if checkpoint is not None:
            self._take(checkpoint)

    def _take(self, checkpoint: Checkpoint) -> None:
        self.history = checkpoint.history
        self.epochs = [
            EpochRecord(**{name: entry[name] for name in _EPOCH_FIELDS})
            for entry in self.history
            if entry["kind"] == "epoch"
        ]
        self.predictions, self.state = checkpoint.predictions, checkpoint.state
        self.started -= checkpoint.wall_seconds
        self.folder.rewrite_history(self.history)
        for entry in self.history:
            self._track(entry)

    def on_ranks(
        self, step: int, alpha: float | None, budget_params: float, ranks: list[float]
    ) -> None:
        """Writes a line of ranks."""
        self._add_history(
            {
                "kind": "ranks",
                "step": step,
                "alpha": alpha,
                "budget_params": budget_params,
                "ranks": ranks,
            }
        )

    def on_evaluation(self, evaluation: Evaluation, state: Parameters) -> None:
        """Writes a line of the history, and keeps the state if its epoch is the best so far."""
        fields = {name: getattr(evaluation, name) for name in _EPOCH_FIELDS}
        self.epochs.append(EpochRecord(**fields))
        self.predictions.append(evaluation.predictions)
        self._add_history({"kind": "epoch", **fields})
        if self._chosen_epoch() == evaluation.epoch:
            self.state = state
        value = known_value(evaluation.metrics, self.origin.metric)
        log.info(
            "%s: epoch %d: loss %.4f, %s %.4f",
            self.name,
            evaluation.epoch,
            evaluation.train_loss,
            self.metric_words,
            value,
        )

    def on_snapshot(self, snapshot: RunSnapshot) -> None:
        """Writes a checkpoint."""
        checkpoint = Checkpoint(
            snapshot=snapshot,
            history=self.history,
            predictions=self.predictions,
            state=self.state,
            wall_seconds=time.perf_counter() - self.started,
            calibration=self.origin.calibration,
        )
        write_checkpoint(self.folder.checkpoints, checkpoint, self.origin.fingerprint)

    def on_failure(self, error: str) -> None:
        """Writes why the run can't go on."""
        self.error = error
        log.error("%s failed: %s", self.name, error)
        self.folder.clear_checkpoints()  # tried again, it starts from the beginning
        self.folder.fail(FailureRecord(self.origin.settings, error))
        self.tracker.finish(FAILED, {})

    def on_pruned(self, reason: str) -> None:
        """Writes that the run is ended early; its last checkpoint stays, to go on from."""
        self.pruned = PrunedRecord(
            self.origin.settings, self.epochs[-1].epoch, self.reported_metric, reason
        )
        log.info(
            "%s: pruned after epoch %d at %s %.4f",
            self.name,
            self.pruned.epoch,
            self.metric_words,
            self.pruned.metric,
        )
        self.folder.prune(self.pruned)
        self.tracker.finish(PRUNED, {"summary/reported_metric": self.pruned.metric})

    def is_lost(self) -> bool:
        """Returns whether somebody has deleted the folder; the run has then failed."""
        if self.error is None and not self.folder.path.is_dir():
            self.error = "its folder was deleted while it trained: the same command trains it anew"
            log.error("%s failed: %s", self.name, self.error)
        return self.error is not None

    def finish(self) -> None:
        """Writes state, predictions and, last, the record."""
        write_tensors(self.folder.path / STATE_FILE, self.state, self._about())
        self.folder.write(
            PREDICTIONS_FILE, lambda path: save_predictions(path, self.predictions, self.dev)
        )
        self.record = self.folder.finish(self._record())
        self.tracker.finish(FINISHED, record_values(self.record))
        decided = tie_words(counted_epochs(self.epochs, self._best_from), self.origin.metric)
        log.info(
            "%s: %s: best %.2f (epoch %d%s), final %.2f%s",
            self.name,
            self.metric_words,
            100 * self.record.best_metric,
            self.record.best_epoch,
            f", {decided}" if decided else "",
            100 * self.record.final_metric,
            f", {COLLAPSED}: the last epoch predicts one class only"
            if self.record.collapsed
            else "",
        )

    @property
    def reported_metric(self) -> float:
        """What would be reported of the run if it ended now."""
        return known_value(self.epochs[self._chosen_epoch() - 1].metrics, self.origin.metric)

    @property
    def metric_words(self) -> str:
        """What the log calls the reported metric: with the label that it is of."""
        return metric_words(self.origin.metric, self.origin.label_names)

    @property
    def name(self) -> str:
        """What the log calls the run: its folder's name without the hash."""
        return self.folder.path.name.rpartition("-")[0]

    def _add_history(self, entry: dict[str, Any]) -> None:
        self.history.append(entry)
        self.folder.add_history(entry)
        self._track(entry)

    def _track(self, entry: dict[str, Any]) -> None:
        """Tells the tracker, but not the ranks at an evaluation's step, which it told already."""
        if entry["kind"] == "ranks" and entry["step"] in {epoch.step for epoch in self.epochs}:
            return
        self.tracker.log(entry["step"], history_values(entry, self.origin.matrices))

    def _record(self) -> RunRecord:
        last = np.concatenate(list(self.predictions[-1].values()))
        return RunRecord(
            **{f.name: getattr(self.origin, f.name) for f in dataclasses.fields(self.origin)},
            **summary_of(self.epochs, self.origin.metric, self._best_from),
            epochs=self.epochs,
            collapsed=bool(np.ptp(last) == 0),
            wall_seconds=time.perf_counter() - self.started,
        )

    def _chosen_epoch(self) -> int:
        return chosen_epoch(counted_epochs(self.epochs, self._best_from), self.origin.metric)

    @property
    def _best_from(self) -> str:
        return best_from_of(self.origin.settings)

    def _about(self) -> dict[str, str]:
        return {"fingerprint": self.origin.fingerprint, "epoch": str(self._chosen_epoch())}
