"""A finished run as a whole: its record and the state that it trained."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from torch import Tensor

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.store.finished_folder import check_finished
from lora_sweep.store.record import RESULT_FILE, RunRecord
from lora_sweep.store.run_folder import STATE_FILE
from lora_sweep.store.state import read_whole
from lora_sweep.tensor_files import read_tensors


@dataclass(frozen=True)
class FinishedRun:
    """What a finished run left.

    Attributes:
        folder: where it lies.
        record: its `result.json`.
        state: trained at the reported epoch: `R` (N, rank_max, rank_max), `head.*`, and `logits`
            (N,) where it had some.
    """

    folder: Path
    record: RunRecord
    state: dict[str, Tensor]

    @property
    def integer_ranks(self) -> list[int]:
        """Rank of every adapted matrix at the reported epoch (N)."""
        return self.record.reported_evaluation.integer_ranks

    @cached_property
    def identity(self) -> str:
        """SHA-256 of what it trained: the same for a run that was trained again to the bit."""
        about = [self.record.fingerprint, self.record.reported_epoch, self.integer_ranks]
        digest = hashlib.sha256(json.dumps(about).encode())
        for name in sorted(self.state):
            digest.update(f"\n{name} ".encode() + self.state[name].numpy().tobytes())
        return digest.hexdigest()


@lru_cache(maxsize=8)
def _read_cached(folder: Path, written_at: tuple[int, ...]) -> FinishedRun:
    return read_finished(folder)


def read_source(folder: Path) -> FinishedRun:
    """Returns the finished run in a folder, kept in memory for as long as its files stay the same.

    Raises:
        RecordError: as `read_finished`.
    """
    files = [folder / RESULT_FILE, folder / STATE_FILE]
    stats = [file.stat() for file in files if file.exists()]
    return _read_cached(folder.resolve(), tuple(stat.st_mtime_ns for stat in stats))


def read_finished(folder: Path) -> FinishedRun:
    """Returns the finished run in a folder; changes nothing there.

    Raises:
        RecordError: there is no finished run, or something of it is damaged; says what to do.
    """
    check_finished(folder)
    try:
        record = read_whole(folder)
        state, about = read_tensors(folder / STATE_FILE)
    except DamagedFileError as error:
        raise RecordError(f"{error}: train the run again with finished=overwrite") from error
    written = about.get("fingerprint"), about.get("epoch")
    if written != (record.fingerprint, str(record.reported_epoch)):
        raise RecordError(
            f"{folder / STATE_FILE} must be of the run in {RESULT_FILE}, but got another's: train "
            "the run again with finished=overwrite"
        )
    return FinishedRun(folder, record, state)
