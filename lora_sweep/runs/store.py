"""Folders of a sweep and its runs: what stands where, and how it is written.

    outputs/<sweep>/sweep.json             the runs that were asked for: folder name -> settings;
                                           and the commands that asked for them
    outputs/<sweep>/<run>/settings.json    what can change the result; written when the run starts
    outputs/<sweep>/<run>/config.yaml      the whole resolved config
    outputs/<sweep>/<run>/run.log          what was logged
    outputs/<sweep>/<run>/history.jsonl    a line an evaluation, and the ranks of the first epochs
    outputs/<sweep>/<run>/state.safetensors        trained state at the reported epoch
    outputs/<sweep>/<run>/predictions.safetensors  dev predictions and labels
    outputs/<sweep>/<run>/result.json      written last: the run is finished
    outputs/<sweep>/<run>/failure.json     instead of it: the run failed

Every file but log and history appears whole or not at all.
"""

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from lora_sweep.errors import DamagedRecordError, RecordError
from lora_sweep.runs.record import (
    FAILURE_FILE,
    FORMAT_VERSION,
    RESULT_FILE,
    FailureRecord,
    RunRecord,
    read_result,
)

SWEEP_FILE = "sweep.json"
SETTINGS_FILE = "settings.json"
CONFIG_FILE = "config.yaml"
LOG_FILE = "run.log"
HISTORY_FILE = "history.jsonl"
STATE_FILE = "state.safetensors"
PREDICTIONS_FILE = "predictions.safetensors"

Settings = dict[str, Any]

_log = logging.getLogger(__name__)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file so that it appears whole or not at all.

    Args:
        path: where it appears; an older file there is replaced.
        write: is given a temporary path in the same folder, and writes the content there.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        temporary = Path(folder) / path.name
        write(temporary)
        os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, UTF-8, so that it appears whole or not at all."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_sweep(sweep_dir: Path) -> dict[str, Settings]:
    """Returns the runs that were asked for, folder name -> settings; none without a list.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    return _read_list(sweep_dir)[0]


def read_commands(sweep_dir: Path) -> list[str]:
    """Returns the commands that asked for the sweep's runs, oldest first; none without a list.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    return _read_list(sweep_dir)[1]


def add_to_sweep(sweep_dir: Path, runs: Mapping[str, Settings], command: str) -> None:
    """Adds runs, and the command that asked for them, to the sweep's list; what is there stays."""
    with FileLock(sweep_dir / f".{SWEEP_FILE}.lock"):
        listed, commands = _read_list(sweep_dir)
        content = {
            "format_version": FORMAT_VERSION,
            "commands": list(dict.fromkeys([*commands, command])),
            "runs": listed | dict(runs),
        }
        write_text(sweep_dir / SWEEP_FILE, json.dumps(content, indent=1))


def _read_list(sweep_dir: Path) -> tuple[dict[str, Settings], list[str]]:
    """The runs and commands in the sweep's list."""
    path = sweep_dir / SWEEP_FILE
    if not path.exists():
        return {}, []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, runs = content["format_version"], dict(content["runs"])
        commands = [str(command) for command in content.get("commands", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    if version != FORMAT_VERSION:
        raise RecordError(f"{path} must have format version {FORMAT_VERSION}, but got {version}")
    return runs, commands


def count_runs(sweep_dir: Path) -> tuple[int, int]:
    """Returns how many of the listed runs are finished, and how many are listed."""
    names = read_sweep(sweep_dir)
    return sum((sweep_dir / name / RESULT_FILE).exists() for name in names), len(names)


class RunFolder:
    """The folder of one run, from its start to its record."""

    def __init__(self, path: Path) -> None:
        """Names the folder; it need not be there yet."""
        self.path = path

    def finished(self, fingerprint: str) -> RunRecord | None:
        """Returns the record of the finished run, or None if there is none.

        A damaged record is set aside as `result.json.damaged`: the run is then not finished.

        Args:
            fingerprint: of the run that is wanted.

        Raises:
            RecordError: the record can't be opened, or is that of another base model, corpus or
                code version with the same settings.
        """
        path = self.path / RESULT_FILE
        if not path.exists():
            return None
        try:
            record = read_result(path)
        except DamagedRecordError as error:
            aside = path.with_name(f"{path.name}.damaged")
            os.replace(path, aside)
            _log.warning("%s; it is set aside as %s, the run trains again", error, aside.name)
            return None
        if record.fingerprint != fingerprint:
            raise RecordError(
                f"{self.path} must hold a run of this base model, corpus and code, but got one "
                "of another with the same settings: choose another paths.sweep=NAME, or "
                "finished=overwrite"
            )
        return record

    def start(self, settings: Settings, config_yaml: str) -> None:
        """Makes the folder ready for a training from the beginning.

        Args:
            settings: what can change the result.
            config_yaml: the whole resolved config, as YAML.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for name in (RESULT_FILE, FAILURE_FILE, HISTORY_FILE, STATE_FILE, PREDICTIONS_FILE):
            (self.path / name).unlink(missing_ok=True)
        write_text(self.path / CONFIG_FILE, config_yaml)
        write_text(self.path / SETTINGS_FILE, json.dumps(settings, indent=1))

    def add_history(self, entry: Mapping[str, Any]) -> None:
        """Adds a line to the history."""
        with (self.path / HISTORY_FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Writes one more file of the run; see `write_whole`."""
        write_whole(self.path / name, write)

    def finish(self, record: RunRecord) -> None:
        """Writes the record, last of all: from now on the run is finished."""
        write_text(self.path / RESULT_FILE, record.to_json())

    def fail(self, record: FailureRecord) -> None:
        """Writes why the run failed; the next start of the run clears it away."""
        write_text(self.path / FAILURE_FILE, record.to_json())
