"""Run folders -> tidy table: a row a run, typed columns, nothing parsed from folder names.

| status | the run's folder |
| --- | --- |
| finished | has a record |
| failed | has a failure's record instead; still, while it is being tried again |
| pruned | has the record of a run that a search ended early |
| missing | has none of these: not started, still going on, or killed |
| unreadable | has one that can't be read, or settings that are none of a run; named in a warning |

Settings stand in columns of their dotted names; None where a setting has no effect.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lora_sweep.errors import LoraSweepError, RecordError
from lora_sweep.report.table.tidy import (
    COLUMNS,
    FAILED,
    FINISHED,
    MISSING,
    PRUNED,
    UNREADABLE,
    checked_row,
    checked_settings,
    to_table,
)
from lora_sweep.store.record import (
    FAILURE_FILE,
    PRUNED_FILE,
    RESULT_FILE,
    RunRecord,
    read_failure,
    read_pruned,
    read_result,
)
from lora_sweep.store.run_folder import RETRIED_FILE, SETTINGS_FILE
from lora_sweep.store.sweep_list import SWEEP_FILE, read_sweep

_FROM_RECORD = tuple(COLUMNS)[2:-1]
OnRecord = Callable[[Path, RunRecord], object]

_log = logging.getLogger(__name__)


def collect_runs(sweep_dir: Path, *, on_record: OnRecord | None = None) -> pd.DataFrame:
    """Returns the tidy table of a sweep: the runs as they were asked for, then others by name.

    Columns: `folder` (name), `status`, a column a setting, then what the record holds of the
    same name, and `error`. Metrics are 0 to 1. Folders that are no run's are left out.

    Args:
        sweep_dir: the folder that the run folders lie in.
        on_record: is given folder and record of every finished run, which are then forgotten.

    Raises:
        LoraSweepError: there is no run in the folder, neither asked for nor started.
        RecordError: the list of the runs that were asked for can't be read.
    """
    return to_table(_collect(sweep_dir, on_record))


def collect_sweeps(
    sweep_dirs: Mapping[str, Path], *, start: Path, on_record: OnRecord | None = None
) -> pd.DataFrame:
    """Returns one tidy table of several sweeps, with the setting `sweep` for their labels.

    Args:
        sweep_dirs: label -> folder.
        start: the folder that the column `folder` is relative to.
        on_record: as in `collect_runs`.

    Raises:
        LoraSweepError, RecordError: as in `collect_runs`.
    """
    rows = []
    for label, sweep_dir in sweep_dirs.items():
        for row in _collect(sweep_dir, on_record):
            folder = os.path.relpath(sweep_dir / row["folder"], start)
            rows.append(row | {"folder": folder, "sweep": label})
    return to_table(rows)


def _collect(sweep_dir: Path, on_record: OnRecord | None) -> list[dict[str, Any]]:
    listed = read_sweep(sweep_dir)
    names = [*listed, *(name for name in _folder_names(sweep_dir) if name not in listed)]
    found = (_read_run(sweep_dir / name, listed.get(name), on_record) for name in names)
    rows = [row for row in found if row is not None]
    if not rows:
        raise LoraSweepError(
            f"{sweep_dir} must hold a sweep, that is {SWEEP_FILE} or run folders with "
            f"{RESULT_FILE}, {FAILURE_FILE} or {SETTINGS_FILE}, but got {_what_is(sweep_dir)}"
        )
    return rows


def _folder_names(sweep_dir: Path) -> list[str]:
    if not sweep_dir.is_dir():
        return []
    folders = (path.name for path in sweep_dir.iterdir() if path.is_dir())
    return sorted(name for name in folders if not name.startswith("."))


def _what_is(sweep_dir: Path) -> str:
    if not sweep_dir.exists():
        return "nothing there"
    if not sweep_dir.is_dir():
        return "a file"
    if any((sweep_dir / name).exists() for name in (RESULT_FILE, FAILURE_FILE, SETTINGS_FILE)):
        return "the folder of a single run: give the one it lies in"
    return "a folder without them"


def _read_run(folder: Path, listed: object, on_record: OnRecord | None) -> dict[str, Any] | None:
    """Returns the row of one run, or None for a folder that is no run's."""
    try:
        if (folder / RESULT_FILE).exists():
            record = read_result(folder / RESULT_FILE)
            row = checked_row(_finished_row(folder.name, record))
            if on_record is not None:
                on_record(folder, record)
            return row
        return _row(folder, listed)
    except (RecordError, OSError) as error:
        _log.warning("run %s can't be read and is left out: %s", folder.name, error)
        known = _settings_beside(folder, listed)
        return {"folder": folder.name, "status": UNREADABLE, **known, "error": str(error)}


def _row(folder: Path, listed: object) -> dict[str, Any] | None:
    """The row of a run that has no result."""
    if (folder / PRUNED_FILE).exists():
        pruned = read_pruned(folder / PRUNED_FILE)
        settings = checked_settings(pruned.settings)
        own = {"folder": folder.name, "status": PRUNED, "error": pruned.reason}
        return checked_row(own | settings)
    for name in (FAILURE_FILE, RETRIED_FILE):  # another process may be trying it again just now
        if (folder / name).exists():
            failure = read_failure(folder / name)
            settings = checked_settings(failure.settings)
            own = {"folder": folder.name, "status": FAILED, "error": failure.error}
            return checked_row(own | settings)
    if listed is None and not (folder / SETTINGS_FILE).exists():
        _log.debug("%s is no run's folder", folder)
        return None
    settings = checked_settings(_read_settings(folder) if listed is None else listed)
    return {"folder": folder.name, "status": MISSING, **settings}


def _finished_row(name: str, record: RunRecord) -> dict[str, Any]:
    settings = checked_settings(record.settings)
    values = {column: getattr(record, column) for column in _FROM_RECORD}
    return {"folder": name, "status": FINISHED, **settings, **values}


def _settings_beside(folder: Path, listed: object) -> Mapping[str, Any]:
    """The settings of a run whose record can't be read; empty if they can't be had either."""
    try:
        return checked_settings(_read_settings(folder) if listed is None else listed)
    except RecordError:
        return {}


def _read_settings(folder: Path) -> object:
    path = folder / SETTINGS_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error
