"""The Hydra entry point: compose, check, run, return the objective; and errors in few lines."""

import contextlib
import math
import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lora_sweep import terminal
from lora_sweep.config.store import CONF
from lora_sweep.error_lines import EXPECTED, error_lines
from lora_sweep.errors import LoraSweepError, StorageError
from lora_sweep.interrupt import StoppedError, handle_termination
from lora_sweep.launch import command_errors, grids
from lora_sweep.launch.places import quote_homes
from lora_sweep.plugins import register

EXECUTABLE = ("lora_sweep.*", "hydra_plugins.*")
"""What a `_target_` of a config may name: our own code, and Hydra's plugins."""
_DEBUG = "LORA_SWEEP_DEBUG"

register()


@hydra.main(config_path=CONF, config_name="config", execution_whitelist=EXECUTABLE)
def run(config: DictConfig) -> float:
    """Returns the objective of one job: the cell's median reported metric over its seeds."""
    from lora_sweep.config.run import to_run_config
    from lora_sweep.execution.execute import run_cell

    job = HydraConfig.get()
    is_single = job.mode is RunMode.RUN
    try:
        # A sweep of grids does not wait for a run that another process trains: it comes back.
        waits = is_single or job.runtime.choices["hydra/sweeper"] != grids.NAME
        # With hydra.job.chdir too, a relative path is from where the command was started.
        with contextlib.chdir(job.runtime.cwd):
            return run_cell(to_run_config(config), waits=waits)
    except LoraSweepError as error:
        if not is_single or _is_debugging():
            raise
        command_errors.note(error)
        return math.nan


def main() -> None:
    """Runs the command line; a user's error ends in a few lines and exit code 1.

    With `--debug`, or HYDRA_FULL_ERROR=1 in the environment, every error keeps its traceback.
    Ctrl-C ends in exit code 130, SIGTERM in 143, SIGHUP in 129.
    """
    terminal.prepare()
    if "--debug" in sys.argv:
        sys.argv.remove("--debug")
        os.environ["HYDRA_FULL_ERROR"] = os.environ[_DEBUG] = "1"
    elif os.environ.get("HYDRA_FULL_ERROR"):
        os.environ[_DEBUG] = "1"
    sys.argv[1:] = [quote_homes(argument) for argument in sys.argv[1:]]
    # Hydra then raises what it would print with a traceback, and the message is ours.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    handle_termination()
    command_errors.forget()
    try:
        try:
            _check_folder()
            run()
            command_errors.raise_first()
        finally:
            terminal.flush()
    except KeyboardInterrupt as stop:
        said = str(stop) or "interrupted: the same command goes on where this one stopped"
        with contextlib.suppress(OSError):  # a terminal that was closed is gone
            print(said, file=sys.stderr)
        sys.exit(stop.exit_code if isinstance(stop, StoppedError) else 130)
    except BrokenPipeError:  # whoever read the output has left, as `| head` does
        terminal.left()
        sys.exit(1)
    except Exception as error:
        if _is_debugging():
            raise
        first, *others = error_lines(error)
        if not isinstance(error, EXPECTED):
            first += f" ({type(error).__name__}; --debug shows where)"
        print("\n".join([first, *others]), file=sys.stderr)
        sys.exit(1)


def _check_folder() -> None:
    """Checks that the folder of the command is there: every relative path starts at it."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise StorageError(
            "the folder that the command is started in must be there, but it was deleted: "
            "go to another (cd DIR)"
        ) from error


def _is_debugging() -> bool:
    return bool(os.environ.get(_DEBUG))
