"""What became of a run, as its folder says: the one reader for resume, report and status.

The first that holds, from the top:

| state | the run's folder |
| --- | --- |
| finished | has a record |
| failed | has a failure's record |
| pruned | has the record of a run that a search ended early |
| retried | has a failure's record under the name that it gets once the run is tried again |
| open | has none of these: not started, still going on, or killed |

A record that counts but can't be read makes the run `damaged`, whatever else lies there. A run
that is asked for again, and not skipped, is opened by `RunFolder.reopen`.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lora_sweep import vocabulary
from lora_sweep.errors import RecordError
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


def _content(folder: Path, path: Path | None, asked_for: Any) -> dict[str, Any]:
    """State, settings, and what else the record says that counts, at `path`; None for none."""
    if path is None:
        settings = read_settings(folder) if asked_for is None else asked_for
        return {"state": State.OPEN, "settings": settings}
    if path.name == RESULT_FILE:
        record = read_result(path)
        return {"state": State.FINISHED, "settings": record.settings, "record": record}
    if path.name == PRUNED_FILE:
        pruned = read_pruned(path)
        return {"state": State.PRUNED, "settings": pruned.settings, "reason": pruned.reason}
    failure = read_failure(path)
    state = State.FAILED if path.name == FAILURE_FILE else State.RETRIED
    return {"state": state, "settings": failure.settings, "reason": failure.error}


def read_settings(folder: Path) -> Any:
    """Returns the settings that were written when a run started, whatever they are.

    Raises:
        RecordError: they can't be read.
    """
    path = folder / SETTINGS_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def _known_settings(folder: Path) -> Any:
    try:
        return read_settings(folder)
    except RecordError:
        return None
