"""`lora-sweep run [SETTING=VALUE ...]`: trains a run or, with `--multirun`, a sweep or a search.

The Hydra entry point: check what was typed, compose, run, return the objective; errors in few
lines.
"""

import contextlib
import difflib
import io
import math
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lora_sweep import terminal
from lora_sweep.config.arguments import check_arguments
from lora_sweep.config.store import CONF
from lora_sweep.error_lines import EXPECTED, error_lines
from lora_sweep.errors import LoraSweepError, SettingError, StorageError
from lora_sweep.interrupt import StoppedError, handle_termination
from lora_sweep.launch import command_errors, grids, resolve
from lora_sweep.launch.places import quote_homes
from lora_sweep.plugins import register
from lora_sweep.words import pasteable

EXECUTABLE = ("lora_sweep.*", "hydra_plugins.*")
"""What a `_target_` of a config may name: our own code, and Hydra's plugins."""
_DEBUG = "LORA_SWEEP_DEBUG"

register()


@hydra.main(config_path=CONF, config_name="config", execution_whitelist=EXECUTABLE)
def train(config: DictConfig) -> float:
    """Returns the objective of one job: the cell's median reported metric over its seeds."""
    from lora_sweep.config.run import to_run_config
    from lora_sweep.execution.execute import run_cell

    job = HydraConfig.get()
    is_single = job.mode is RunMode.RUN
    try:
        # Our sweepers do not wait for a run that another process trains: they come back to it.
        comes_back = job.runtime.choices["hydra/sweeper"] in (grids.NAME, resolve.NAME)
        waits = is_single or not comes_back
        # With hydra.job.chdir too, a relative path is from where the command was started.
        with contextlib.chdir(job.runtime.cwd):
            command = _command(sys.argv[1:]) if is_single else None
            return run_cell(to_run_config(config), waits=waits, command=command)
    except LoraSweepError as error:
        if not is_single or _is_debugging():
            raise
        command_errors.note(error)
        return math.nan


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    With `--debug`, or HYDRA_FULL_ERROR=1 in the environment, every error keeps its traceback.
    Ctrl-C ends in exit code 130, SIGTERM in 143, SIGHUP in 129.

    Args:
        arguments: of the command line; None for those of this process.
    """
    terminal.prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:
        given.remove("--debug")
        os.environ["HYDRA_FULL_ERROR"] = os.environ[_DEBUG] = "1"
    elif os.environ.get("HYDRA_FULL_ERROR"):
        os.environ[_DEBUG] = "1"
    # Hydra then raises what it would print with a traceback, and the message is ours.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    handle_termination()
    command_errors.forget()
    typed = [quote_homes(argument) for argument in given]
    try:
        try:
            _check_folder()
            sys.argv[1:] = checked(typed)
            with _help_fitted(is_asked=not {"-h", "--help"}.isdisjoint(given)):
                train()
            command_errors.raise_first()
        finally:
            terminal.flush()
    except KeyboardInterrupt as stop:
        said = str(stop) or "interrupted: the same command goes on where this one stopped"
        with contextlib.suppress(OSError):  # a terminal that was closed is gone
            terminal.say(said)
            print(pasteable(_command(typed)), file=sys.stderr)  # not fitted: it is to be pasted
        return stop.exit_code if isinstance(stop, StoppedError) else 130
    except BrokenPipeError:  # whoever read the output has left, as `| head` does
        terminal.left()
        return 1
    except Exception as error:
        if _is_debugging():
            raise
        first, *others = error_lines(error)
        if not isinstance(error, EXPECTED):
            first += f" ({type(error).__name__}; --debug shows where)"
        terminal.say("\n".join([first, *others]))
        return 1
    return 0


def _command(arguments: Sequence[str]) -> str:
    """The command as a shell reads it."""
    return shlex.join(["python", "-m", "lora_sweep", *arguments])


@contextlib.contextmanager
def _help_fitted(*, is_asked: bool) -> Iterator[None]:
    """Hydra prints the help, with groups whose options need more than a terminal's line."""
    if not is_asked:
        yield
        return
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            yield
    finally:  # Hydra exits once it has printed
        print(terminal.fitted(text.getvalue(), sys.stdout))


def checked(arguments: list[str]) -> list[str]:
    """Returns the arguments of the command, which Hydra can read.

    Raises:
        SettingError: one is no option, or a setting is wrong.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    given, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise SettingError(
            f"an option must be one that --help names, but got {unknown[0]}: "
            f"{_meant(unknown[0], list(parser._option_string_actions))}"
        )
    if given.shell_completion:
        return arguments
    own_configs = any((given.config_path, given.config_name, given.config_dir)) or any(
        one.lstrip("+").startswith("hydra.searchpath") for one in given.overrides
    )
    is_multirun = given.multirun or "hydra.mode=MULTIRUN" in given.overrides
    check_arguments(given.overrides, is_multirun=is_multirun, own_configs=own_configs)
    return arguments


def _meant(typed: str, options: Sequence[str]) -> str:
    """What somebody may have meant who typed an option that is none."""
    name, _, value = typed.lstrip("-").partition("=")
    near = difflib.get_close_matches(f"--{name}", [*options, "--debug"], n=1, cutoff=0.75)
    if near and not value:
        return f"did you mean {near[0]}?"
    return f"a setting has no dashes, {name}={value or 'VALUE'}"


def _refuse(message: str) -> NoReturn:
    raise SettingError(f"the options must be as --help shows them, but got: {message}")


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
