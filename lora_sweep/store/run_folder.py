"""Folders of a sweep and its runs: what stands where, and how it is written.

    outputs/<sweep>/sweep.json             the runs that were asked for: folder name -> settings;
                                           and the commands that asked for them
    outputs/<sweep>/<run>/settings.json    what can change the result; written when the run starts
    outputs/<sweep>/<run>/config.yaml      the whole resolved config
    outputs/<sweep>/<run>/command.txt      the command of a single run; a sweep's is in sweep.json
    outputs/<sweep>/<run>/run.log          what was logged
    outputs/<sweep>/<run>/history.jsonl    a line an evaluation, and the ranks of the first epochs
    outputs/<sweep>/<run>/state.safetensors        trained state at the reported epoch
    outputs/<sweep>/<run>/predictions.safetensors  dev predictions and labels
    outputs/<sweep>/<run>/result.json      written last: the run is finished
    outputs/<sweep>/<run>/failure.json     instead of it: the run failed
    outputs/<sweep>/<run>/failure.json.retried     how it failed before it was tried again
    outputs/<sweep>/<run>/pruned.json      instead of it: a search ended the run early

    outputs/<sweep>/<run>/checkpoints/     where the training stands; gone once it is finished
    outputs/<sweep>/.packs/                which runs train together, and who trains them now

Every file but log and history appears whole or not at all.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lora_sweep.errors import DamagedFileError, DamagedRecordError, RecordError
from lora_sweep.files import (
    clear_unfinished,
    digest_of,
    read_text,
    remove,
    set_aside,
    write_text,
    write_whole,
    writing,
)
from lora_sweep.store.record import (
    FAILURE_FILE,
    PRUNED_FILE,
    RESULT_FILE,
    FailureRecord,
    PrunedRecord,
    RunRecord,
)
from lora_sweep.store.state import (
    CHECKPOINTS,
    DONE_FILES,
    RETRIED_FILE,
    SETTINGS_FILE,
    RunState,
    State,
    folder_name,
    is_done,
    read_state,
    settings_json,
)

CONFIG_FILE = "config.yaml"
COMMAND_FILE = "command.txt"
LOG_FILE = "run.log"
HISTORY_FILE = "history.jsonl"
STATE_FILE = "state.safetensors"
PREDICTIONS_FILE = "predictions.safetensors"
OVERWRITTEN_FILE = "result.json.overwritten"
PACKS = ".packs"

Settings = dict[str, Any]

_log = logging.getLogger(__name__)


class RunFolder:
    """The folder of one run, from its start to its record."""

    def __init__(self, path: Path) -> None:
        """Names the folder; it need not be there yet."""
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoints; there while the run is not finished."""
        return self.path / CHECKPOINTS

    def ended(self, fingerprint: str) -> RunState | None:
        """Returns how the run has finished, failed or been pruned; None if it is to be trained.

        A damaged record is set aside as `NAME.damaged`: the run trains again. So is that of a run
        whose state or predictions are damaged.

        Args:
            fingerprint: of the run that is wanted.

        Raises:
            RecordError: the record can't be opened, is of another format version, or is that of
                another base model, corpus or code version with the same settings.
        """
        if not is_done(self.path):  # thousands of runs are asked, again and again
            return None
        found = read_state(self.path)
        if found is None or found.state in (State.OPEN, State.RETRIED):
            return None  # another process has reopened it since
        if found.file is not None and not found.file.exists():  # likewise, while it was read
            return self.ended(fingerprint)
        if isinstance(found.error, DamagedRecordError) and found.file is not None:
            set_aside(found.file, found.error, "the run trains again")
            return self.ended(fingerprint)
        if found.error is not None:
            raise found.error
        if found.record is not None:
            self._check_fingerprint(found.record, fingerprint)
            self.clear_checkpoints()  # a process killed between record and clearing leaves them
        return found

    def _check_fingerprint(self, record: RunRecord, wanted: str) -> None:
        if record.fingerprint != wanted:
            raise RecordError(
                f"{self.path} must hold a run of this base model, corpus and code, but got one "
                "of another with the same settings: choose another paths.sweep=NAME, or "
                "finished=overwrite"
            )

    def ready(self) -> None:
        """Makes the folder, and clears away what a killed process was writing.

        Raises:
            RecordError: it is a link, which could lead anywhere.
            StorageError: it can't be made.
        """
        if self.path.is_symlink():
            raise RecordError(f"{self.path} must be a folder of its own, but got a link")
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        log_file = self.path / LOG_FILE
        if log_file.is_symlink() or not log_file.is_file():
            remove(log_file)  # to write to a pipe would wait for a reader
        for folder in (self.path, self.checkpoints):
            clear_unfinished(folder)

    def reopen(self) -> None:
        """Clears away what says that the run is done.

        Result and failure are kept under another name until the run finishes.
        """
        result, failure = self.path / RESULT_FILE, self.path / FAILURE_FILE
        if result.exists():
            self.clear_checkpoints()
            with writing(result):
                result.replace(self.path / OVERWRITTEN_FILE)
        if failure.exists():
            with writing(failure):
                failure.replace(self.path / RETRIED_FILE)
        (self.path / PRUNED_FILE).unlink(missing_ok=True)

    def start(self, settings: Settings, config_yaml: str, command: str | None = None) -> None:
        """Makes the folder ready for a training from the beginning.

        Args:
            settings: what can change the result.
            config_yaml: the whole resolved config, as YAML.
            command: that trains this run, as a shell reads it; None where the sweep's list has it.
        """
        self.ready()
        for name in (*DONE_FILES, HISTORY_FILE, STATE_FILE, PREDICTIONS_FILE, COMMAND_FILE):
            remove(self.path / name)
        self.clear_checkpoints()
        write_text(self.path / CONFIG_FILE, config_yaml)
        if command is not None:
            write_text(self.path / COMMAND_FILE, command)
        write_text(self.path / SETTINGS_FILE, settings_json(self.path, settings))

    def add_history(self, entry: Mapping[str, Any]) -> None:
        """Adds a line to the history."""
        path = self.path / HISTORY_FILE
        with writing(path), path.open("a", encoding="utf-8") as stream:
            stream.write(_line(entry))

    def rewrite_history(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Makes these the lines of the history: what was written behind them is void."""
        write_text(self.path / HISTORY_FILE, "".join(map(_line, entries)))

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Writes one more file of the run; see `write_whole`."""
        write_whole(self.path / name, write)

    def finish(self, record: RunRecord) -> RunRecord:
        """Writes the record, last of all: from now on the run is finished.

        Returns:
            The record as it is written: with this folder's name, and the checksums of the state
            and the predictions that lie here.
        """
        left = [name for name in (STATE_FILE, PREDICTIONS_FILE) if (self.path / name).exists()]
        files = {name: digest_of(self.path / name) for name in left}
        record = replace(record, files=files, name=folder_name(self.path))
        write_text(self.path / RESULT_FILE, record.to_json())
        for name in (OVERWRITTEN_FILE, FAILURE_FILE, RETRIED_FILE, PRUNED_FILE):
            (self.path / name).unlink(missing_ok=True)
        return record

    def clear_checkpoints(self) -> None:
        """Removes the checkpoints: the run is finished, or starts from the beginning."""
        remove(self.checkpoints)

    def fail(self, record: FailureRecord) -> None:
        """Writes why the run failed; see `reopen`."""
        record = replace(record, name=folder_name(self.path))
        write_text(self.path / FAILURE_FILE, record.to_json())

    def prune(self, record: PrunedRecord) -> None:
        """Writes that the run was ended early; asked for again, it goes on from its checkpoint."""
        record = replace(record, name=folder_name(self.path))
        write_text(self.path / PRUNED_FILE, record.to_json())
        (self.path / RETRIED_FILE).unlink(missing_ok=True)


def read_command(folder: Path) -> str | None:
    """Returns the command that trains a single run; None where none is kept.

    One that can't be read is warned of: nothing but a line to paste depends on it.

    Args:
        folder: of the run.
    """
    path = folder / COMMAND_FILE
    try:
        return read_text(path) if path.exists() else None
    except (OSError, DamagedFileError) as error:
        _log.warning("the command of a run is not known: %s", error)
        return None


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry) + "\n"
