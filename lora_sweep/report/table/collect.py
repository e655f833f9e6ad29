"""Run folders -> tidy table: a row a run, typed columns, nothing parsed from folder names.

| status | the run's state (see `store.state`) |
| --- | --- |
| finished | finished |
| failed | failed; still, while it is being tried again |
| pruned | pruned |
| missing | open: not started, still going on, or killed |
| unreadable | damaged, or with values that no run has; named in a warning |

Settings stand in columns of their dotted names; None where a setting has no effect.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lora_sweep.errors import LoraSweepError, RecordError
from lora_sweep.metrics import metric_words
from lora_sweep.report.table.tidy import COLUMNS, checked_row, checked_settings, to_table
from lora_sweep.store.record import FAILURE_FILE, RESULT_FILE, RunRecord
from lora_sweep.store.run_folder import Settings
from lora_sweep.store.scope import LAST, Scope, folder_names, runs_meant
from lora_sweep.store.state import SETTINGS_FILE, RunState, State, read_settings, read_state
from lora_sweep.store.sweep_list import SWEEP_FILE
from lora_sweep.vocabulary import FAILED, FINISHED, MISSING, PRUNED, UNREADABLE

_STATUS = {
    State.FINISHED: FINISHED,
    State.FAILED: FAILED,
    State.RETRIED: FAILED,
    State.PRUNED: PRUNED,
    State.OPEN: MISSING,
    State.DAMAGED: UNREADABLE,
}
_FROM_RECORD = tuple(
    name for name in COLUMNS if name not in ("folder", "status", "metric_words", "error")
)
OnRecord = Callable[[Path, RunRecord], object]

_log = logging.getLogger(__name__)


def collect_runs(
    sweep_dir: Path, *, scope: Scope = LAST, on_record: OnRecord | None = None
) -> pd.DataFrame:
    """Returns the tidy table of a sweep: the runs as they were asked for, then others by name.

    Columns: `folder` (name), `status`, a column a setting, then what the record holds of the
    same name, `metric_words`, the metric with the label that it is of, and `error`. Metrics are
    0 to 1. Folders that are no run's are left out.

    Args:
        sweep_dir: the folder that the run folders lie in.
        scope: which of its runs are meant.
        on_record: is given folder and record of every finished run, which are then forgotten.

    Raises:
        LoraSweepError: there is no run in the folder, neither asked for nor started.
    """
    return to_table(_collect(sweep_dir, scope, on_record))


def folders_by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """Returns label -> folder of several sweeps: the folders' own names.

    Args:
        folders: of the sweeps.

    Raises:
        LoraSweepError: two have the same name.
    """
    labels = [folder.resolve().name for folder in folders]
    repeated = [label for label in labels if labels.count(label) > 1]
    if repeated:
        raise LoraSweepError(
            f"the sweeps' folders must have different names, but got {repeated[0]} more than once"
        )
    return dict(zip(labels, folders, strict=True))


def collect_sweeps(
    sweep_dirs: Mapping[str, Path],
    *,
    start: Path,
    scope: Scope = LAST,
    on_record: OnRecord | None = None,
) -> pd.DataFrame:
    """Returns one tidy table of several sweeps, with the setting `sweep` for their labels.

    Args:
        sweep_dirs: label -> folder.
        start: the folder that the column `folder` is relative to.
        scope: which runs of each folder are meant.
        on_record: as in `collect_runs`.

    Raises:
        LoraSweepError: as in `collect_runs`.
    """
    rows = []
    for label, sweep_dir in sweep_dirs.items():
        for row in _collect(sweep_dir, scope, on_record):
            folder = os.path.relpath(sweep_dir / row["folder"], start)
            rows.append(row | {"folder": folder, "sweep": label})
    return to_table(rows)


def _collect(sweep_dir: Path, scope: Scope, on_record: OnRecord | None) -> list[dict[str, Any]]:
    meant = _meant(sweep_dir, scope)
    found = (_read_run(sweep_dir / name, asked, on_record) for name, asked in meant.items())
    rows = [row for row in found if row is not None]
    if not rows:
        raise LoraSweepError(
            f"{sweep_dir} must hold a sweep, that is {SWEEP_FILE} or run folders with "
            f"{RESULT_FILE}, {FAILURE_FILE} or {SETTINGS_FILE}, but got {_what_is(sweep_dir)}"
        )
    return rows


def _meant(sweep_dir: Path, scope: Scope) -> dict[str, Settings | None]:
    """The runs that are meant; those that have left a folder where the list can't be read."""
    try:
        return runs_meant(sweep_dir, scope)[0]
    except RecordError as error:
        _log.warning("runs that have left no folder are not counted: %s", error)
        return dict.fromkeys(folder_names(sweep_dir))


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
        found = read_state(folder, listed)
        if found is None:
            _log.debug("%s is no run's folder", folder)
            return None
        if found.error is not None:
            raise found.error
        row = _row(found)
        if found.record is not None and on_record is not None:
            on_record(folder, found.record)
        return row
    except (RecordError, OSError) as error:
        _log.warning("run %s can't be read and is left out: %s", folder.name, error)
        known = _settings_beside(folder, listed)
        return {"folder": folder.name, "status": UNREADABLE, **known, "error": str(error)}


def _row(found: RunState) -> dict[str, Any]:
    """The row of a run that can be read."""
    row = {"folder": found.folder.name, "status": _STATUS[found.state]}
    row |= checked_settings(found.settings)
    if found.record is not None:
        row |= {column: getattr(found.record, column) for column in _FROM_RECORD}
        row["metric_words"] = metric_words(found.record.metric, found.record.label_names)
    if found.reason:
        row["error"] = found.reason
    return checked_row(row)


def _settings_beside(folder: Path, listed: object) -> Mapping[str, Any]:
    """The settings of a run whose record can't be read; empty if they can't be had either."""
    try:
        return checked_settings(read_settings(folder) if listed is None else listed)
    except RecordError:
        return {}
