"""`python -m lora_sweep.resolve outputs/SWEEP`: adds seeds until every comparison is resolved."""

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from lora_sweep.commands.arguments import exit_code, place
from lora_sweep.errors import SettingError
from lora_sweep.store.sweep_list import read_commands
from lora_sweep.vocabulary import RESOLVE

_OWN = r"hydra\.sweeper\.(max_seeds|looks|any_time|max_runs|max_hours)="
_PLACES = r"paths\.(outputs|sweep)=|hydra\.sweep\.dir="
_LEFT_OUT = re.compile(rf"\+*(seed=|n_seeds=|hydra/sweeper=|{_OWN}|{_PLACES})")
_OF_HYDRA = re.compile(r"hydra[./](?!sweeper)")
_SEARCH = re.compile(r"search=(?!null$)|hydra/sweeper=optuna")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    given = _parser().parse_intermixed_args(arguments)
    own: list[str] = []
    failed = exit_code(lambda: own.extend(resolve_arguments(given.folder, given)))
    if failed:
        return failed
    from lora_sweep.commands.run import main as run

    return run(own)


def resolve_arguments(folder: Path, given: argparse.Namespace) -> list[str]:
    """Returns the sweep's own command as one that resolves it, in its folder.

    Args:
        folder: of the sweep.
        given: as the parser has it.

    Raises:
        SettingError: the folder is no sweep's, or was asked for by different commands.
        RecordError: the list of its runs can't be read.
    """
    from lora_sweep.launch.places import quoted

    settings = {
        "max_seeds": given.max_seeds,
        "max_runs": given.max_runs,
        "max_hours": given.hours,
        "any_time": given.any_time or None,
        "looks": None if given.looks is None else f"[{given.looks}]",
    }
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return [
        *_own_command(folder),
        f"paths.outputs={quoted(named.parent)}",
        f"paths.sweep={quoted(named.name)}",
        RESOLVE,
        *(
            f"hydra.sweeper.{name}={value}"
            for name, value in settings.items()
            if value is not None
        ),
        *given.overrides,
    ]


def _own_command(folder: Path) -> list[str]:
    """The arguments of the sweep's command, but for seeds, places and what a resolve was told.

    Of commands that differ in Hydra's own settings, as the launcher, the last one counts.
    """
    commands = read_commands(folder)
    if not commands:
        what = "a folder without it" if folder.is_dir() else "nothing there"
        raise SettingError(f"{folder} must hold a sweep's list of runs, but got {what}")
    arguments = [shlex.split(command)[3:] for command in commands]  # python -m lora_sweep
    sweeps = [one for one in arguments if RESOLVE not in one]
    different: dict[tuple[str, ...], list[str]] = {}
    for one in sweeps or arguments:
        own = [argument for argument in one if not _LEFT_OUT.match(argument)]
        different[tuple(a for a in own if not _OF_HYDRA.match(a))] = own
    if len(different) > 1:
        listed = "\n".join(shlex.join(own) for own in different.values())
        raise SettingError(
            f"{folder} must be a sweep of one command, seeds apart, but got {len(different)}: "
            f"say all that is to be compared, python -m lora_sweep --multirun ... {RESOLVE}\n"
            f"{listed}"
        )
    ((own),) = different.values()
    if any(_SEARCH.match(one) for command in sweeps for one in command):
        raise SettingError(
            f"{folder} must be a sweep of named settings, but got a search: resolve a sweep of "
            "what it found"
        )
    return own


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep resolve",
        description="Add seeds to the comparisons of a sweep that are open, until each init is "
        "better than its baseline, worse, or equivalent, or the budget is spent. Looks are "
        "planned before the first of them (resolve.json in the sweep's folder) and priced in.",
    )
    parser.add_argument("folder", type=place, metavar="FOLDER", help="of a sweep: outputs/demo")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="hydra.launcher.…=…")
    parser.add_argument("--max-seeds", type=int, metavar="N", help="seeds at the last look (30)")
    parser.add_argument(
        "--looks", metavar="N,N,...", help="seeds at each look (5,8,12,16,20,25,30)"
    )
    parser.add_argument("--any-time", action="store_true", help="look after every seed instead")
    parser.add_argument("--max-runs", type=int, metavar="N", help="runs to train at most")
    parser.add_argument("--hours", type=float, metavar="H", help="begin no look after so many")
    return parser
