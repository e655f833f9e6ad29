"""`python -m lora_sweep.resolve outputs/SWEEP`: adds seeds until every comparison is resolved."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from lora_sweep.commands.arguments import exit_code, place
from lora_sweep.errors import SettingError
from lora_sweep.store.sweep_list import read_commands

_OWN = ("hydra/sweeper=resolve", "hydra.sweeper.", "seed=", "n_seeds=")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    given = _parser().parse_args(arguments)
    own: list[str] = []
    failed = exit_code(lambda: own.extend(resolve_arguments(given.folder, given)))
    if failed:
        return failed
    from lora_sweep.commands.run import main as run

    return run(own)


def resolve_arguments(folder: Path, given: argparse.Namespace) -> list[str]:
    """Returns the sweep's own command as one that resolves it.

    Args:
        folder: of the sweep.
        given: as the parser has it.

    Raises:
        SettingError: the sweep was asked for by no command, or by different ones.
    """
    commands = {_without_seeds(command): None for command in read_commands(folder)}
    if len(commands) != 1:
        raise SettingError(
            f"{folder} must be a sweep of one command, seeds apart, but got {len(commands)}: say "
            "it yourself, python -m lora_sweep --multirun ... hydra/sweeper=resolve"
        )
    settings = {
        "max_seeds": given.max_seeds,
        "max_runs": given.max_runs,
        "max_hours": given.hours,
        "any_time": given.any_time or None,
        "looks": None if given.looks is None else f"[{given.looks}]",
    }
    (own,) = commands
    return [
        *own,
        "hydra/sweeper=resolve",
        *(
            f"hydra.sweeper.{name}={value}"
            for name, value in settings.items()
            if value is not None
        ),
        *given.overrides,
    ]


def _without_seeds(command: str) -> tuple[str, ...]:
    """The command's arguments but for those that say which seeds are trained."""
    arguments = shlex.split(command)[3:]  # python -m lora_sweep
    return tuple(one for one in arguments if not one.startswith(_OWN))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep resolve",
        description="Add seeds to the comparisons of a sweep that are open, until each init is "
        "better than its baseline, worse, or equivalent, or the budget is spent. Looks are "
        "planned before the first of them (resolve.json in the sweep's folder) and priced in.",
    )
    parser.add_argument("folder", type=place, metavar="FOLDER", help="of a sweep: outputs/demo")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="hydra.launcher.…=…")
    parser.add_argument(
        "--max-seeds", type=int, default=30, metavar="N", help="seeds at the last look (30)"
    )
    parser.add_argument(
        "--looks", metavar="N,N,...", help="seeds at each look (5,8,12,16,20,25,30)"
    )
    parser.add_argument("--any-time", action="store_true", help="look after every seed instead")
    parser.add_argument("--max-runs", type=int, metavar="N", help="runs to ask for at most")
    parser.add_argument("--hours", type=float, metavar="H", help="begin no look after so many")
    return parser
