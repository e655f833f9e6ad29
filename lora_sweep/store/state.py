"""What became of a run, as its folder says: the one reader for resume, report and status.

The first that holds, from the top:

| state | the run's folder |
| --- | --- |
| finished | has a record |
| failed | has a failure's record |
| pruned | has the record of a run that a search ended early |
| retried | has a failure's record under the name that it gets once the run is tried again |
| open | has none of these: not started, still going on, or killed |

A record that counts but can't be read, is that of another folder, or does not fit the files beside
it makes the run `damaged`, whatever else lies there. A run that is asked for again, and not
skipped, is opened by `RunFolder.reopen`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lora_sweep import vocabulary
from lora_sweep.errors import (
    DamagedFileError,
    DamagedRecordError,
    MisplacedRecordError,
    RecordError,
)
from lora_sweep.files import digest_of, read_checked_json, to_checked_json
from lora_sweep.store.record import (
    FAILURE_FILE,
    PRUNED_FILE,
    RESULT_FILE,
    RunRecord,
    read_failure,
    read_pruned,
    read_result,
)

SETTINGS_FILE = "settings.json"
CHECKPOINTS = "checkpoints"
RETRIED_FILE = "failure.json.retried"
DONE_FILES = (RESULT_FILE, FAILURE_FILE, PRUNED_FILE)


class State(StrEnum):
    """What became of a run."""

    FINISHED = vocabulary.FINISHED
    FAILED = vocabulary.FAILED
    PRUNED = vocabulary.PRUNED
    RETRIED = "retried"
    OPEN = "open"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class RunState:
    """What a run's folder says.

    Attributes:
        folder: the run's.
        state: what became of it.
        settings: of the run, as they stand in the record that counts, else as they were asked
            for, else as they were written when it started; None where there are none to be had.
        record: of a finished run.
        reason: why it failed, was pruned, or can't be read.
        error: what `reason` is the message of, for a damaged one.
        file: that can't be read, of a damaged one.
        has_begun: whether there are checkpoints.
    """

    folder: Path
    state: State
    settings: Any = None
    record: RunRecord | None = None
    reason: str = ""
    error: RecordError | None = None
    file: Path | None = None
    has_begun: bool = False

    @property
    def is_misplaced(self) -> bool:
        """Whether the record that counts is another run's."""
        return isinstance(self.error, MisplacedRecordError)

    @property
    def is_collapsed(self) -> bool:
        """Whether it is finished, and predicts one class only."""
        return self.record is not None and self.record.collapsed


def is_done(folder: Path) -> bool:
    """Returns whether a run has finished, failed or been pruned; reads no file."""
    return any((folder / name).exists() for name in DONE_FILES)


def is_run(folder: Path) -> bool:
    """Returns whether a folder is a run's; reads no file."""
    names = (*DONE_FILES, RETRIED_FILE, SETTINGS_FILE)
    return any((folder / name).exists() for name in names)


def is_finished(folder: Path) -> bool:
    """Returns whether a run has finished; reads no file."""
    return (folder / RESULT_FILE).exists()


def read_state(folder: Path, asked_for: Any = None) -> RunState | None:
    """Returns what became of a run, or None for a folder that is no run's; changes nothing.

    Args:
        folder: the run's; need not be there if the run was asked for.
        asked_for: its settings, if it stands in the sweep's list; else None.
    """
    names = (*DONE_FILES, RETRIED_FILE)
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if path is None and asked_for is None and not (folder / SETTINGS_FILE).exists():
        return None
    has_begun = (folder / CHECKPOINTS).exists()
    try:
        return RunState(folder, **_content(folder, path, asked_for), has_begun=has_begun)
    except RecordError as error:
        return RunState(
            folder,
            State.DAMAGED,
            _known_settings(folder) if asked_for is None else asked_for,
            reason=str(error),
            error=error,
            file=path or folder / SETTINGS_FILE,
            has_begun=has_begun,
        )


def folder_name(folder: Path) -> str:
    """Returns the name that a run's folder has where it lies, `.` and links like any other."""
    return Path(os.path.abspath(folder)).name


def read_run(folder: Path) -> RunRecord:
    """Returns the record of a finished run, to be counted where it lies.

    Raises:
        RecordError: as in `read_whole`; or it is another run's, copied or swapped.
    """
    record = read_whole(folder)
    _check_name(folder / RESULT_FILE, record.name)
    return record


def read_whole(folder: Path) -> RunRecord:
    """Returns the record of a finished run, beside which all lies as the run left it.

    Raises:
        RecordError: it can't be read, or a file is gone or another one.
    """
    record = read_result(folder / RESULT_FILE)
    for name, digest in record.files.items():
        path = folder / name
        try:
            is_as_left = digest_of(path) == digest
        except (FileNotFoundError, DamagedFileError) as error:
            raise DamagedRecordError(f"{path} can't be read: {error}") from error
        except OSError as error:
            raise RecordError(f"{path} can't be read: {error}") from error
        if not is_as_left:
            raise DamagedRecordError(f"{path} must be as it was written, but got other bytes")
    return record


def _check_name(path: Path, name: str) -> None:
    """Checks that a record lies where it was written: a copied or swapped one counts twice."""
    own = folder_name(path.parent)
    if name != own:
        raise MisplacedRecordError(f"{path} must be of the run {own}, but got that of {name}")


def _content(folder: Path, path: Path | None, asked_for: Any) -> dict[str, Any]:
    """State, settings, and what else the record says that counts, at `path`; None for none."""
    if path is None:
        settings = read_settings(folder) if asked_for is None else asked_for
        return {"state": State.OPEN, "settings": settings}
    if path.name == RESULT_FILE:
        record = read_run(folder)
        return {"state": State.FINISHED, "settings": record.settings, "record": record}
    if path.name == PRUNED_FILE:
        pruned = read_pruned(path)
        _check_name(path, pruned.name)
        return {"state": State.PRUNED, "settings": pruned.settings, "reason": pruned.reason}
    failure = read_failure(path)
    _check_name(path, failure.name)
    state = State.FAILED if path.name == FAILURE_FILE else State.RETRIED
    return {"state": state, "settings": failure.settings, "reason": failure.error}


def settings_json(folder: Path, settings: Mapping[str, Any]) -> str:
    """Returns what is written when a run starts: its settings, and the folder that they are of."""
    return to_checked_json({"name": folder_name(folder), "settings": settings}, indent=1)


def read_settings(folder: Path) -> Any:
    """Returns the settings that were written when a run started.

    Raises:
        RecordError: they can't be read, or are another run's.
    """
    path = folder / SETTINGS_FILE
    try:
        fields = read_checked_json(path)
        name, settings = str(fields["name"]), fields["settings"]
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    except (DamagedFileError, KeyError) as error:
        raise DamagedRecordError(f"{path} can't be read: {error}") from error
    _check_name(path, name)
    return settings


def _known_settings(folder: Path) -> Any:
    try:
        return read_settings(folder)
    except RecordError:
        return None
