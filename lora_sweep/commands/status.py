"""`lora-sweep status outputs/SWEEP`: how a sweep stands; `--watch` keeps looking."""

import argparse
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from lora_sweep import terminal
from lora_sweep.commands.arguments import add_all, exit_code, place
from lora_sweep.errors import SettingError

if TYPE_CHECKING:
    from lora_sweep.status.folders import SweepFolder

WATCH_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    return exit_code(lambda: _status(_parser().parse_args(arguments)))


def _status(given: argparse.Namespace) -> None:
    if given.watch is not None and not 0 < given.watch < float("inf"):
        raise SettingError(f"--watch must be above 0 seconds, but got {given.watch:g}")
    from lora_sweep.status.folders import SweepFolder
    from lora_sweep.store.scope import EVERYTHING, LAST

    with suppress(KeyboardInterrupt):  # how a watch is meant to end
        scope = EVERYTHING if given.all else LAST
        _show(SweepFolder(given.folder, scope), given.watch, as_json=given.json)


def _show(folder: "SweepFolder", seconds: float | None, *, as_json: bool) -> None:
    """Shows the status, once or until the sweep is over."""
    from rich.live import Live

    from lora_sweep.status.show import commands_to_go_on, status_json, status_text
    from lora_sweep.status.summary import sweep_status

    status = sweep_status(folder)
    if as_json:
        print(status_json(status), flush=True)
        while seconds is not None and not status.is_over:
            time.sleep(seconds)
            status = sweep_status(folder)
            print(status_json(status), flush=True)
        return
    console = terminal.make_console()
    if seconds is None:
        console.print(status_text(status))
        for line in commands_to_go_on(status):
            print(line)
        return
    with Live(status_text(status), console=console, auto_refresh=False) as live:
        while not status.is_over:
            time.sleep(seconds)
            status = sweep_status(folder)
            live.update(status_text(status), refresh=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep status",
        description="Show how a sweep stands: runs running, finished, failed, pruned and left, "
        "runs per hour, time to the end, the best cell so far, and why runs failed. Nothing in "
        "the sweep's folder is changed.",
    )
    parser.add_argument("folder", type=place, metavar="FOLDER", help="of a sweep: outputs/demo")
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help=f"look again every so often (default {WATCH_SECONDS:g}) until nothing is left",
    )
    parser.add_argument(
        "--json", action="store_true", help="one line of JSON a look instead, for scripts"
    )
    add_all(parser)
    return parser
