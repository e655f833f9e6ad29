"""Run folders -> tidy table: a row a run, typed columns, nothing parsed from folder names.

| status | the run's folder |
| --- | --- |
| finished | has a record |
| failed | has a failure's record instead |
| missing | has neither: not started, still going on, or killed |
| unreadable | has one that can't be read, or settings that are none of a run; named in a warning |

Settings stand in columns of their dotted names; None where a setting has no effect.
"""

import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lora_sweep.errors import LoraSweepError, RecordError
from lora_sweep.runs.record import (
    FAILURE_FILE,
    RESULT_FILE,
    RunRecord,
    read_failure,
    read_result,
)
from lora_sweep.runs.store import SETTINGS_FILE, SWEEP_FILE, read_sweep

FINISHED, FAILED, MISSING, UNREADABLE = "finished", "failed", "missing", "unreadable"
_METRICS = ("reported_metric", "best_metric", "final_metric")
_DTYPES = {
    "folder": "str",
    "status": "str",
    "reported_metric": "float64",
    "reported_epoch": "Int64",
    "best_metric": "float64",
    "best_epoch": "Int64",
    "final_metric": "float64",
    "selected_metric": "float64",
    "selected_epoch": "Int64",
    "collapsed": "boolean",
    "metric": "str",
    "fingerprint": "str",
    "model_fingerprint": "str",
    "corpus_fingerprint": "str",
    "wall_seconds": "float64",
    "device": "str",
    "git_commit": "str",
    "error": "str",
}
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "float64": (int, float),
    "Int64": (int,),
    "boolean": (bool,),
}
_FROM_RECORD = tuple(_DTYPES)[2:-1]
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
    return _to_table(_collect(sweep_dir, on_record))


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
    return _to_table(rows)


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


def setting_names(table: pd.DataFrame) -> list[str]:
    """Returns the columns of the tidy table that are settings, the seed among them."""
    return [name for name in table.columns if name not in _DTYPES]


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
            row = _checked(_finished_row(folder.name, record))
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
    if (folder / FAILURE_FILE).exists():
        failure = read_failure(folder / FAILURE_FILE)
        settings = _checked_settings(failure.settings)
        own = {"folder": folder.name, "status": FAILED, "error": failure.error}
        return _checked(own | settings)
    if listed is None and not (folder / SETTINGS_FILE).exists():
        _log.debug("%s is no run's folder", folder)
        return None
    settings = _checked_settings(_read_settings(folder) if listed is None else listed)
    return {"folder": folder.name, "status": MISSING, **settings}


def _finished_row(name: str, record: RunRecord) -> dict[str, Any]:
    settings = _checked_settings(record.settings)
    values = {column: getattr(record, column) for column in _FROM_RECORD}
    return {"folder": name, "status": FINISHED, **settings, **values}


def _settings_beside(folder: Path, listed: object) -> Mapping[str, Any]:
    """The settings of a run whose record can't be read; empty if they can't be had either."""
    try:
        return _checked_settings(_read_settings(folder) if listed is None else listed)
    except RecordError:
        return {}


def _read_settings(folder: Path) -> object:
    path = folder / SETTINGS_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def _checked_settings(settings: object) -> dict[str, Any]:
    """Returns the settings if they can be those of a run: without a seed there is no cell."""
    if not isinstance(settings, dict):
        raise RecordError(f"settings must be a JSON object, but got {type(settings).__name__}")
    for name, kind in (("init", str), ("seed", int)):
        value = settings.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise RecordError(f"setting {name} must be of type {kind.__name__}, but got {value!r}")
    reserved = sorted(set(settings) & set(_DTYPES))
    if reserved:
        raise RecordError(f"settings must not be named as the record's own: {reserved[0]}")
    return settings


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the row if its values have their column's type; metrics are finite numbers."""
    for name, dtype in _DTYPES.items():
        value = row.get(name)
        is_needed = name in _METRICS and row["status"] == FINISHED
        if value is None and not is_needed:
            continue
        is_odd_bool = isinstance(value, bool) and dtype != "boolean"
        if not isinstance(value, _KINDS[dtype]) or is_odd_bool:
            raise RecordError(f"{name} must be of type {dtype}, but got {value!r}")
        if dtype == "float64" and not math.isfinite(row[name]):
            raise RecordError(f"{name} must be finite, but got {value}")
    return row


def _to_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = dict.fromkeys(["init", "seed"])
    names |= dict.fromkeys(name for row in rows for name in row)
    settings = [name for name in names if name not in _DTYPES]
    own = tuple(_DTYPES)
    columns = {}
    for name in (*own[:2], *settings, *own[2:]):
        values = [row.get(name) for row in rows]
        columns[name] = _own(name, values) if name in _DTYPES else _typed(name, values)
    return pd.DataFrame(columns)


def _own(name: str, values: list[Any]) -> pd.Series:
    return pd.Series(values, name=name, dtype=_DTYPES[name])


def _typed(name: str, values: list[Any]) -> pd.Series:
    """A setting's column with the type of all its values; `object` for lists and mixtures."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {float, int}:
        return pd.Series(values, name=name, dtype="Float64")
    one = {bool: "boolean", int: "Int64", float: "Float64", str: "str"}
    dtype = one.get(kinds.pop(), "object") if len(kinds) == 1 else "object"
    return pd.Series([_hashable(value) for value in values], name=name, dtype=dtype)


def _hashable(value: Any) -> Any:
    """Cells compare settings, so lists become tuples and objects their JSON text."""
    if isinstance(value, list):
        return tuple(_hashable(entry) for entry in value)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
