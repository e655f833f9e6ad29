"""What became of a trial, as its runs' folders and its job say."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import TrialState

from lora_sweep.error_lines import first_line
from lora_sweep.errors import LoraSweepError, PrunedError, StorageError
from lora_sweep.store.record import RunRecord
from lora_sweep.store.state import read_state


@dataclass(frozen=True)
class TrialOutcome:
    """What Optuna is told of a trial, and what is kept beside it.

    Attributes:
        state: COMPLETE, PRUNED or FAIL.
        values: one an objective; None but for a complete trial.
        metric: name of the reported metric; None where no run is finished.
        metrics: reported metric of each run, 0 to 1, None where there is none.
        error: why it failed, in one line.
    """

    state: TrialState
    values: list[float] | None
    metric: str | None
    metrics: list[float | None]
    error: str | None


def outcome_of(job: JobReturn, folders: Sequence[Path], n_objectives: int) -> TrialOutcome:
    """Returns what became of a trial.

    Args:
        job: Hydra's record of it.
        folders: of its runs.
        n_objectives: 1 for the metric, 2 for the metric and the trained parameters.

    Raises:
        StorageError: a file could not be written, which is no fault of the trial.
        RecordError: a result can't be read.
    """
    records = [_record(folder) for folder in folders]
    metrics = reported_metrics(folders)
    finished = [record for record in records if record is not None]
    metric = finished[0].metric if finished else None
    error = None if job.status is JobStatus.COMPLETED else job._return_value
    if isinstance(error, StorageError):
        raise error
    if isinstance(error, PrunedError):
        return TrialOutcome(TrialState.PRUNED, None, metric, metrics, None)
    if error is None and len(finished) == len(records):
        values = objectives(finished)[:n_objectives]
        if all(map(math.isfinite, values)):
            return TrialOutcome(TrialState.COMPLETE, values, metric, metrics, None)
    return TrialOutcome(TrialState.FAIL, None, metric, metrics, _in_words(error))


def reported_metrics(folders: Sequence[Path]) -> list[float | None]:
    """Returns the reported metric of each run, None for one that is not finished."""
    records = [_record(folder) for folder in folders]
    return [None if record is None else record.reported_metric for record in records]


def objectives(records: Sequence[RunRecord]) -> list[float]:
    """Returns medians over a trial's seeds: of the reported metric, and of `trained_params`."""
    return [
        statistics.median(record.reported_metric for record in records),
        statistics.median(trained_params(record) for record in records),
    ]


def trained_params(record: RunRecord) -> int:
    """Returns how many numbers of the adapter a run is charged for.

    The parameters within the integer ranks at the reported epoch (of LoRA-XS, entries of R), and
    the allocation logits. What lies outside of the ranks is masked out of the model that the
    metric is of. The head is left out, being the same in every trial. Source: ours.
    """
    return record.reported_evaluation.budget_spent_params + record.n_trained_params["logits"]


def _record(folder: Path) -> RunRecord | None:
    found = read_state(folder)
    if found is not None and found.error is not None:
        raise found.error
    return None if found is None else found.record


def _in_words(error: object) -> str:
    if not isinstance(error, Exception):
        return "a run left no result, or a metric that is not finite"
    kind = "" if isinstance(error, LoraSweepError) else f"{type(error).__name__}: "
    return f"{kind}{first_line(error)}"
