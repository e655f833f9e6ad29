"""What the commands that work from a run's folder have in common."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from lora_sweep.errors import LoraSweepError


def exit_code(command: Callable[[], None]) -> int:
    """Returns 0, or 1 after a user's error, which is shown in one line.

    Args:
        command: what is to be done.
    """
    try:
        command()
    except LoraSweepError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def add_run(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds RUN, with the words for its help, and --base."""
    parser.add_argument("run", type=Path, metavar="RUN", help=what)
    parser.add_argument(
        "--base", type=Path, metavar="DIR", help="folder of the base, if it is elsewhere now"
    )


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Adds what a file's columns are called, and --device."""
    parser.add_argument("--text", metavar="COLUMN", help="of the text (default: the run's own)")
    parser.add_argument("--text-pair", metavar="COLUMN", help="of the second text of pairs")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
