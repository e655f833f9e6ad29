"""Which of the runs in a folder a report or status is of: those of one command, or all.

Commands without a folder of their own share one, and single runs and tries that were given up lie
there as well. What one command asked for is its sweep; whatever else lies there is only counted.
"""

from dataclasses import dataclass
from pathlib import Path

from lora_sweep.store.run_folder import Settings
from lora_sweep.store.state import is_run
from lora_sweep.store.sweep_list import read_asked, read_sweep


@dataclass(frozen=True)
class Scope:
    """Which runs are meant.

    Attributes:
        command: those that it asked for; None for the command given last. Where no command is
            listed, as beside single runs, all runs are meant.
        everything: all runs of the folder, whoever asked for them.
    """

    command: str | None = None
    everything: bool = False


LAST = Scope()
EVERYTHING = Scope(everything=True)


def runs_meant(sweep_dir: Path, scope: Scope) -> tuple[dict[str, Settings | None], int]:
    """Returns the runs that are meant, and how many others lie in the folder.

    Args:
        sweep_dir: the folder that the run folders lie in.
        scope: which are meant.

    Returns:
        Name of the folder -> settings, None for a folder that no command asked for, which may be
        no run's; in the order that they were asked for, then by name.

    Raises:
        RecordError: the list of the runs that were asked for can't be read.
    """
    listed = read_sweep(sweep_dir)
    unlisted = [name for name in folder_names(sweep_dir) if name not in listed]
    asked = None if scope.everything else read_asked(sweep_dir, scope.command)
    if asked is None:
        return {**listed, **dict.fromkeys(unlisted)}, 0
    n_others = len(listed) - len(asked) + sum(is_run(sweep_dir / name) for name in unlisted)
    return dict(asked), n_others


def folder_names(sweep_dir: Path) -> list[str]:
    """Returns the folders in a sweep's folder that may be runs', by name."""
    if not sweep_dir.is_dir():
        return []
    folders = (path.name for path in sweep_dir.iterdir() if path.is_dir())
    return sorted(name for name in folders if not name.startswith("."))
