"""Whether a folder is a finished run's, told without torch: a wrong path is said at once."""

from pathlib import Path

from lora_sweep.errors import RecordError
from lora_sweep.store.record import RESULT_FILE
from lora_sweep.store.state import State, read_state
from lora_sweep.store.sweep_list import SWEEP_FILE


def check_finished(folder: Path) -> None:
    """Checks that a folder holds the result of a run; does not read it.

    Raises:
        RecordError: it holds none; says what it is instead.
    """
    if not (folder / RESULT_FILE).is_file():
        raise RecordError(_why_not(folder))


def _why_not(folder: Path) -> str:
    """What is wrong with a folder that holds no result."""
    rule = f"{folder} must be the folder of a finished run, but"
    if not folder.is_dir():
        return f"{rule} there is no such folder"
    if (folder / SWEEP_FILE).exists():
        return f"{rule} it is a sweep's: give one of the run folders in it"
    found = read_state(folder)
    if found is not None and found.state in (State.FAILED, State.RETRIED):
        return f"{rule} the run failed: {found.reason}"
    if found is not None and found.state is State.PRUNED:
        return f"{rule} the run was ended early: {found.reason}"
    return f"{rule} it has no {RESULT_FILE}: the command that started the run finishes it"
