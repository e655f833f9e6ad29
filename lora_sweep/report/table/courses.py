"""How a run went, in little space: metric over the epochs, and ranks at three moments.

A record holds the ranks of every matrix at every epoch; ten thousand of them do not fit into
memory, and what a report says of all runs needs far less.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.files import opened
from lora_sweep.metrics import known_value
from lora_sweep.store.epochs import EpochRecord
from lora_sweep.store.record import RunRecord
from lora_sweep.store.run_folder import HISTORY_FILE

EARLY_EPOCHS = 2
"""The study looked at the first two epochs."""
Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """How one finished run went.

    Attributes:
        metric: headline metric at every epoch's end (n_epochs,), 0 to 1.
        matrices: names of the adapted matrices (N).
        start_ranks: real-valued ranks before the first step (N,); None if they are not known.
        early_ranks: after the first two epochs, or at the end of a shorter training (N,).
        final_ranks: at the end (N,).
        digest: of every loss, metric and rank, in every digit.
        by_rank: rank -> headline metric after the last epoch with all matrices at that rank; empty
            for runs without.
    """

    metric: Floats
    matrices: tuple[str, ...]
    start_ranks: Floats | None
    early_ranks: Floats
    final_ranks: Floats
    digest: str
    by_rank: Mapping[int, float] = field(default_factory=dict)


class Courses(dict[Path, Course]):
    """Run folder -> course; collects them as records are read, one at a time."""

    def add(self, folder: Path, record: RunRecord) -> None:
        """Keeps the course of a run; one whose history can't be read has no start ranks."""
        matrices = tuple(record.matrices)
        kept = next(reversed(self.values()), None)  # runs of a sweep share one tuple of names
        if kept is not None and kept.matrices == matrices:
            matrices = kept.matrices
        self[folder] = _course(folder, record, matrices)


def read_start_ranks(folder: Path) -> list[float] | None:
    """Returns the ranks before the first step, from a run's history; None if it has none.

    Raises:
        RecordError: the history is no file, or its first line can't be read.
    """
    path = folder / HISTORY_FILE
    if not path.exists():
        return None
    try:
        with opened(path) as stream:
            entry = json.loads(stream.readline())
        if entry["kind"] != "ranks" or entry["step"] != 0:
            return None
        return [float(rank) for rank in entry["ranks"]]
    except (DamagedFileError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def read_first_steps(folder: Path, n_matrices: int) -> list[tuple[int, list[float]]]:
    """Returns step and ranks within the first epochs; damaged lines are left out.

    None, with a warning, where the history is no file.

    Args:
        folder: of the run.
        n_matrices: ranks that a line must have.
    """
    path = folder / HISTORY_FILE
    if not path.exists():
        return []
    try:
        with opened(path) as stream:
            lines = stream.read().splitlines()
    except DamagedFileError as error:
        _log.warning("first steps are not known: %s", error)
        return []
    steps = []
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["kind"] == "ranks":
                ranks = [float(rank) for rank in entry["ranks"]]
                steps += [(int(entry["step"]), ranks)] if len(ranks) == n_matrices else []
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return steps


def rank_curve(epochs: Sequence[EpochRecord]) -> dict[int, float]:
    """Returns rank -> headline metric with all matrices at that rank; empty for runs without.

    Args:
        epochs: of a run, all of them.
    """
    curve = epochs[-1].by_rank or {}
    return {int(rank): value for rank, value in curve.items() if value is not None}


def _course(folder: Path, record: RunRecord, matrices: tuple[str, ...]) -> Course:
    epochs = record.epochs
    values = [known_value(epoch.metrics, record.metric) for epoch in epochs]
    return Course(
        metric=np.array(values, dtype=float),
        matrices=matrices,
        start_ranks=_start_ranks(folder, len(matrices)),
        early_ranks=np.array(epochs[min(EARLY_EPOCHS, len(epochs)) - 1].ranks, dtype=float),
        final_ranks=np.array(epochs[-1].ranks, dtype=float),
        digest=_digest(epochs),
        by_rank=rank_curve(epochs),
    )


def _digest(epochs: Sequence[EpochRecord]) -> str:
    # What is planned (alpha, budget) is left out: it may differ and change nothing.
    numbers = [
        [epoch.train_loss, epoch.dev_loss, epoch.selection_loss, epoch.metrics, epoch.ranks]
        for epoch in epochs
    ]
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def _start_ranks(folder: Path, n_matrices: int) -> Floats | None:
    try:
        start = read_start_ranks(folder)
    except RecordError as error:
        _log.warning("start ranks are not known: %s", error)
        return None
    return None if start is None or len(start) != n_matrices else np.array(start)
