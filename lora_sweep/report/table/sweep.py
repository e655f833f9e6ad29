"""All that a report is made from: one sweep, or several beside each other."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lora_sweep.errors import LoraSweepError, RecordError
from lora_sweep.report.table.collect import collect_runs, collect_sweeps
from lora_sweep.report.table.courses import Course, Courses
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.store.search_record import SearchRecord, read_search
from lora_sweep.store.sweep_list import read_commands

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
        search: the search that asked for them; None where there was none, or several sweeps.
    """

    name: str
    folder: Path
    runs: pd.DataFrame
    summary: pd.DataFrame
    courses: dict[str, Course]
    commands: tuple[str, ...]
    search: SearchRecord | None = None


def read_sweep_folder(folder: Path) -> Sweep:
    """Returns the sweep of a folder, finished or not.

    Args:
        folder: the folder that the run folders lie in.

    Raises:
        LoraSweepError: the folder holds no sweep.
    """
    courses = Courses()
    runs = collect_runs(folder, on_record=courses.add)
    return Sweep(
        name=folder.resolve().name,
        folder=folder,
        runs=runs,
        summary=summarise_runs(runs),
        courses={path.name: course for path, course in courses.items()},
        commands=tuple(_read_commands(folder)),
        search=_read_search(folder),
    )


def read_sweep_folders(folders: Sequence[Path], out: Path) -> Sweep:
    """Returns several sweeps as one, whose cells have the setting `sweep`.

    Args:
        folders: of the sweeps; their names are their labels.
        out: where the report goes.

    Raises:
        LoraSweepError: a folder holds no sweep, or two have the same name.
    """
    labels = [folder.resolve().name for folder in folders]
    repeated = [label for label in labels if labels.count(label) > 1]
    if repeated:
        raise LoraSweepError(
            f"the sweeps' folders must have different names, but got {repeated[0]} more than once"
        )
    courses = Courses()
    by_label = dict(zip(labels, folders, strict=True))
    runs = collect_sweeps(by_label, start=out, on_record=courses.add)
    commands = [command for folder in folders for command in _read_commands(folder)]
    return Sweep(
        name=", ".join(labels),
        folder=out,
        runs=runs,
        summary=summarise_runs(runs),
        courses={os.path.relpath(path, out): course for path, course in courses.items()},
        commands=tuple(dict.fromkeys(commands)),
    )


def _read_commands(folder: Path) -> list[str]:
    try:
        return read_commands(folder)
    except RecordError:  # of which the table's reader warns
        return []


def _read_search(folder: Path) -> SearchRecord | None:
    try:
        return read_search(folder)
    except RecordError as error:
        _log.warning("the report has no section on the search: %s", error)
        return None
