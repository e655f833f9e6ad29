"""All that a report is made from: one sweep, or several beside each other."""

import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lora_sweep.errors import RecordError
from lora_sweep.report.table.collect import collect_runs, collect_sweeps, folders_by_name
from lora_sweep.report.table.courses import Course, Courses
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.store.scope import LAST, Scope, runs_meant
from lora_sweep.store.search_record import SearchRecord, read_search
from lora_sweep.store.sweep_list import count_growth, read_commands

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """A sweep as read from its folder.

    Attributes:
        name: what the report calls it.
        folder: where the report goes; run folders are named relative to it.
        runs: a row a run, as from `collect_runs`.
        summary: a row a cell, as from `summarise_runs`.
        courses: run folder (as in `runs`) -> how the run went.
        commands: command lines that the runs were asked for with.
        n_grown: commands that have asked for some of the runs; over 1 for a sweep that has grown.
        search: the search that asked for them; None where there was none, or several sweeps.
        n_others: runs that lie there too, but are not reported.
    """

    name: str
    folder: Path
    runs: pd.DataFrame
    summary: pd.DataFrame
    courses: dict[str, Course]
    commands: tuple[str, ...]
    n_grown: int = 1
    search: SearchRecord | None = None
    n_others: int = 0


def read_sweep_folder(folder: Path, scope: Scope = LAST) -> Sweep:
    """Returns the sweep of a folder, finished or not.

    Args:
        folder: the folder that the run folders lie in.
        scope: which of its runs are meant.

    Raises:
        LoraSweepError: the folder holds no sweep.
    """
    courses = Courses()
    runs = collect_runs(folder, scope=scope, on_record=courses.add)
    return Sweep(
        name=folder.resolve().name,
        folder=folder,
        runs=runs,
        summary=summarise_runs(runs),
        courses={path.name: course for path, course in courses.items()},
        **_listed(folder, scope),
        search=_read_search(folder, set(runs["folder"])),
    )


def read_sweep_folders(folders: Sequence[Path], out: Path, scope: Scope = LAST) -> Sweep:
    """Returns several sweeps as one, whose cells have the setting `sweep`.

    Args:
        folders: of the sweeps; their names are their labels.
        out: where the report goes.
        scope: which runs of each folder are meant.

    Raises:
        LoraSweepError: a folder holds no sweep, or two have the same name.
    """
    courses = Courses()
    by_label = folders_by_name(folders)
    runs = collect_sweeps(by_label, start=out, scope=scope, on_record=courses.add)
    commands = [one for folder in folders for one in _listed(folder, scope)["commands"]]
    return Sweep(
        name=", ".join(by_label),
        folder=out,
        runs=runs,
        summary=summarise_runs(runs),
        courses={os.path.relpath(path, out): course for path, course in courses.items()},
        commands=tuple(dict.fromkeys(commands)),
        n_others=sum(runs_meant(folder, scope)[1] for folder in folders),
    )


def _listed(folder: Path, scope: Scope) -> dict[str, Any]:
    """What the list says: commands, whether the sweep has grown, and runs that are not meant."""
    try:
        commands = [scope.command] if scope.command is not None else read_commands(folder)
        return {
            "commands": tuple(commands if scope.everything else commands[-1:]),
            "n_grown": count_growth(folder),
            "n_others": runs_meant(folder, scope)[1],
        }
    except RecordError:  # of which the table's reader warns
        return {"commands": ()}


def _read_search(folder: Path, names: Collection[str]) -> SearchRecord | None:
    """The search in the folder, if these runs are its; another command's is left out."""
    try:
        record = read_search(folder)
    except RecordError as error:
        _log.warning("the report has no section on the search: %s", error)
        return None
    if record is None:
        return None
    own = {name for trial in record.trials for name in trial.folders}
    is_anothers = bool(own) and bool(read_commands(folder)) and own.isdisjoint(names)
    return None if is_anothers else record
