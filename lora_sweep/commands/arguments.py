"""What the commands that work from a run's folder have in common."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from lora_sweep import terminal
from lora_sweep.errors import LoraSweepError, SettingError
from lora_sweep.rules import expand_home
from lora_sweep.vocabulary import EXPORT_FILE


def exit_code(command: Callable[[], None]) -> int:
    """Returns 0, or 1 after a user's error, which is shown in a few lines, or for a closed pipe.

    Args:
        command: what is to be done.
    """
    terminal.prepare()
    try:
        try:
            command()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        terminal.left()
        return 1
    except Exception as error:
        from lora_sweep.error_lines import EXPECTED, error_lines  # with Hydra: not for every start

        if not isinstance(error, EXPECTED):
            raise
        terminal.say("\n".join(error_lines(error)))
        return 1
    return 0


def place(text: str) -> Path:
    """Returns the path that an argument names: no shell puts the home into `--out=~/x`.

    Raises:
        ArgumentTypeError: it starts at a home that is not known.
    """
    try:
        return expand_home("PATH", text)
    except SettingError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_run(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds RUN, with the words for its help, and --base."""
    parser.add_argument("run", type=place, metavar="RUN", help=what)
    parser.add_argument(
        "--base", type=place, metavar="DIR", help="folder of the base, if it is elsewhere now"
    )


def check_run(folder: Path) -> None:
    """Checks, before torch is loaded, that a folder is an export or a finished run's.

    Raises:
        RecordError: it is neither; says what it is.
    """
    if not (folder / EXPORT_FILE).exists():
        from lora_sweep.store.finished_folder import check_finished

        check_finished(folder)


def check_folder(folder: Path) -> None:
    """Checks, before pandas is loaded, that a sweep's folder is there.

    Raises:
        LoraSweepError: it is none; says what is there.
    """
    if not folder.is_dir():
        there = "a file" if folder.exists() else "nothing there"
        raise LoraSweepError(f"{folder} must hold a sweep, but got {there}")


def add_all(parser: argparse.ArgumentParser) -> None:
    """Adds --all, for the runs that a sweep's folder holds besides its sweep's."""
    parser.add_argument(
        "--all",
        action="store_true",
        help="all runs in the folder, not only those that the last --multirun asked for",
    )


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Adds what a file's columns are called, and --device."""
    parser.add_argument("--text", metavar="COLUMN", help="of the text (default: the run's own)")
    parser.add_argument("--text-pair", metavar="COLUMN", help="of the second text of pairs")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
