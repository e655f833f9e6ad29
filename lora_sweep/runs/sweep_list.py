"""The list of a sweep's runs: `sweep.json`, the runs and commands that were asked for."""

from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from lora_sweep.errors import DamagedFileError, DamagedRecordError, RecordError
from lora_sweep.files import read_checked_json, set_aside, to_checked_json, write_text, writing
from lora_sweep.runs.record import FORMAT_VERSION, RESULT_FILE, check_version
from lora_sweep.runs.store import Settings

SWEEP_FILE = "sweep.json"


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
    """Adds runs, and the command that asked for them, to the sweep's list; what is there stays.

    A damaged list is set aside as `sweep.json.damaged`, and starts anew.

    Raises:
        RecordError: the list is of another version.
        StorageError: it can't be written.
    """
    path = sweep_dir / SWEEP_FILE
    with writing(path):
        sweep_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(sweep_dir / f".{SWEEP_FILE}.lock"):
        try:
            listed, commands = _read_list(sweep_dir)
        except DamagedRecordError as error:
            set_aside(path, error, "the list of runs starts anew")
            listed, commands = {}, []
        content = {
            "format_version": FORMAT_VERSION,
            "commands": list(dict.fromkeys([*commands, command])),
            "runs": listed | dict(runs),
        }
        write_text(path, to_checked_json(content, indent=1))


def _read_list(sweep_dir: Path) -> tuple[dict[str, Settings], list[str]]:
    """The runs and commands in the sweep's list."""
    path = sweep_dir / SWEEP_FILE
    if not path.exists():
        return {}, []
    try:
        content, _ = read_checked_json(path)
        check_version(path, content)
        return dict(content["runs"]), [str(command) for command in content.get("commands", [])]
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    except (DamagedFileError, ValueError, KeyError, TypeError) as error:
        raise DamagedRecordError(f"{path} can't be read: {error}") from error


def count_runs(sweep_dir: Path) -> tuple[int, int]:
    """Returns how many of the listed runs are finished, and how many are listed."""
    names = read_sweep(sweep_dir)
    return sum((sweep_dir / name / RESULT_FILE).exists() for name in names), len(names)
