"""What one run leaves: its record as JSON, with a format version.

A run folder holds `result.json` (the run is finished), `failure.json` (it ended with an error) or
`pruned.json` (a search ended it early); with none, the run is missing: not started, still going
on, or killed. Each proves itself: a checksum at its end shows that it is as it was written, it
names the folder that it belongs to, and a result must follow from its own evaluations.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lora_sweep.errors import DamagedFileError, DamagedRecordError, RecordError
from lora_sweep.files import read_checked_json, to_checked_json
from lora_sweep.rules import is_rate, require
from lora_sweep.store.calibration import CalibrationRecord, calibration_of
from lora_sweep.store.epochs import EpochRecord, best_from_of, check_epochs, summary_of
from lora_sweep.store.fields import check_fields

FORMAT_VERSION = 1
RESULT_FILE = "result.json"
FAILURE_FILE = "failure.json"
PRUNED_FILE = "pruned.json"


Flat = TypeVar("Flat", "FailureRecord", "PrunedRecord")


@dataclass(frozen=True)
class RunRecord:
    """One finished run: one training, one row of the tidy table.

    Attributes:
        settings: dotted name -> value of all that was set; None where a setting has no effect.
        fingerprint: SHA-256 of all that determines the result (settings, base model, corpus,
            code).
        model_fingerprint, corpus_fingerprint: SHA-256 of their contents.
        metric: name of the headline metric in `EpochRecord.metrics`.
        matrices: names of the adapted matrices, in module order.
        epochs: one entry an evaluation.
        best_metric, best_epoch: highest headline metric on dev over the evaluations. Optimistic.
            Of epochs with the same metric, the one with the lowest loss there; then the first.
            With `training.best_from=settled` among the epochs with a settled budget alone.
        final_metric: headline metric on dev at the last evaluation.
        selected_metric, selected_epoch: headline metric on dev at the epoch that was best on the
            selection split, in the same way; None where no split was held out.
        collapsed: the last evaluation's predictions were one class only.
        n_trained_params: counts by part: `adapter`, `head`, `logits`, `total`.
        wall_seconds: training and evaluation, without loading.
        device, versions, git_commit: where and with what the run was trained.
        label_names: of class 0, 1, ...; empty for regression.
        calibration: where its ranks came from the data; None for other runs.
        rank_units: parameters that a rank costs in each matrix, as of LoRA; None where rank k
            costs k^2, as of LoRA-XS.
        files: name -> SHA-256 of what else the run left: its state and its predictions.
        name: of the folder that it was written to.
    """

    settings: dict[str, Any]
    fingerprint: str
    model_fingerprint: str
    corpus_fingerprint: str
    metric: str
    matrices: list[str]
    epochs: list[EpochRecord]
    best_metric: float
    best_epoch: int
    final_metric: float
    selected_metric: float | None
    selected_epoch: int | None
    collapsed: bool
    n_trained_params: dict[str, int]
    wall_seconds: float
    device: str
    versions: dict[str, str]
    git_commit: str | None
    label_names: list[str]
    calibration: CalibrationRecord | None = None
    rank_units: list[int] | None = None
    files: dict[str, str] = field(default_factory=dict, compare=False)
    name: str = field(default="", compare=False)

    @property
    def reported_metric(self) -> float:
        """The metric a table shows: the selected epoch's where there is one, else the best."""
        return self.best_metric if self.selected_metric is None else self.selected_metric

    @property
    def reported_epoch(self) -> int:
        """The epoch of `reported_metric`."""
        return self.best_epoch if self.selected_epoch is None else self.selected_epoch

    @property
    def reported_evaluation(self) -> EpochRecord:
        """The evaluation at that epoch."""
        return next(epoch for epoch in self.epochs if epoch.epoch == self.reported_epoch)

    @property
    def n_trained_without_head(self) -> int:
        """Parameters that were trained, but for the head's."""
        counts = self.n_trained_params.items()
        return sum(n for part, n in counts if part not in ("head", "total"))

    @property
    def spent_average(self) -> float | None:
        """Rank that every matrix would have if all had the same, for what the ranks spend there.

        sqrt(sum of rank^2 / N); with `rank_units`, sum of unit times rank / sum of units.
        """
        if not self.matrices:
            return None
        spent = self.reported_evaluation.budget_spent_params
        if self.rank_units is not None:
            return spent / sum(self.rank_units)
        return math.sqrt(spent / len(self.matrices))

    def to_json(self) -> str:
        """Returns the record as JSON text, with its format version."""
        return _to_json(dataclasses.asdict(self))


@dataclass(frozen=True)
class FailureRecord:
    """One run that ended with an error.

    Attributes:
        settings, name: as in `RunRecord`.
        error: what a user should know, in one or a few lines.
    """

    settings: dict[str, Any]
    error: str
    name: str = field(default="", compare=False)

    def to_json(self) -> str:
        """Returns the record as JSON text, with its format version."""
        return _to_json(dataclasses.asdict(self))


@dataclass(frozen=True)
class PrunedRecord:
    """One run that was ended before its time.

    Attributes:
        settings, name: as in `RunRecord`.
        epoch: last epoch that it trained, 1 for the first.
        metric: what would have been reported of it then, 0 to 1.
        reason: who ended it and why, in one line.
    """

    settings: dict[str, Any]
    epoch: int
    metric: float
    reason: str
    name: str = field(default="", compare=False)

    def to_json(self) -> str:
        """Returns the record as JSON text, with its format version."""
        return _to_json(dataclasses.asdict(self))


def read_result(path: Path) -> RunRecord:
    """Returns the record of a finished run.

    Raises:
        RecordError: the file can't be read, is no such record, or is of another version.
    """
    fields = _read(path)
    try:
        epochs = [EpochRecord(**entry) for entry in fields.pop("epochs")]
        calibration = calibration_of(fields.pop("calibration", None))
        record = RunRecord(epochs=epochs, calibration=calibration, **fields)
        for part in (record, *epochs):
            check_fields(part)
        _check_whole(record)
    except (TypeError, KeyError, ValueError) as error:
        raise DamagedRecordError(f"{path} is no record of a run: {error}") from error
    return record


def read_failure(path: Path) -> FailureRecord:
    """Returns the record of a failed run.

    Raises:
        RecordError: the file can't be read, is no such record, or is of another version.
    """
    return _read_flat(path, FailureRecord, "a failure")


def read_pruned(path: Path) -> PrunedRecord:
    """Returns the record of a pruned run.

    Raises:
        RecordError: the file can't be read, is no such record, or is of another version.
    """
    return _read_flat(path, PrunedRecord, "a pruned run")


def _read_flat(path: Path, kind: type[Flat], what: str) -> Flat:
    """A record without parts of its own."""
    try:
        record = kind(**_read(path))
        check_fields(record)
    except TypeError as error:
        raise DamagedRecordError(f"{path} is no record of {what}: {error}") from error
    return record


def _check_whole(record: RunRecord) -> None:
    """Checks that the parts of a record belong together."""
    check_epochs(record.epochs, len(record.matrices))
    best_from = best_from_of(record.settings)
    for name, value in summary_of(record.epochs, record.metric, best_from).items():
        got = getattr(record, name)
        if got != value:
            raise ValueError(f"{name} must be {value}, as its epochs say, but got {got}")
    if record.calibration is not None:
        record.calibration.check(len(record.matrices))
    if record.rank_units is not None:
        rule = f"one a matrix, {len(record.matrices)}"
        n_units = len(record.rank_units)
        require(n_units == len(record.matrices), "rank_units", rule, n_units)
        least = min(record.rank_units, default=1)
        require(least >= 1, "rank_units", "at least 1", least)
    if not is_rate(record.wall_seconds):
        raise ValueError(f"wall_seconds must be at least 0, but got {record.wall_seconds}")


def _to_json(fields: dict[str, Any]) -> str:
    return to_checked_json({"format_version": FORMAT_VERSION, **fields})


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = read_checked_json(path)
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    except DamagedFileError as error:
        raise DamagedRecordError(str(error)) from error
    check_version(path, fields)
    return fields


def check_version(path: Path, fields: dict[str, Any]) -> None:
    """Takes the format version out of a file's fields and checks it.

    Raises:
        RecordError: it is another version's, or none's.
    """
    version = fields.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise RecordError(f"{path} must have format version {FORMAT_VERSION}, but got {version}")
