"""A sweep's runs as a table in hand, for pictures and statistics of one's own."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from lora_sweep.report.table.collect import collect_runs, collect_sweeps, folders_by_name
from lora_sweep.report.table.courses import rank_curve
from lora_sweep.report.table.tidy import setting_names
from lora_sweep.rules import expand_home, require
from lora_sweep.store.record import RunRecord

Folder = str | PathLike[str]


def results(
    folder: Folder | Sequence[Folder], *, epochs: bool = False, ranks: bool = False
) -> pd.DataFrame:
    """Returns a sweep's runs: a row per run, per run and epoch, or per run and rank.

    Columns of a run: `folder`; `status` (finished, failed, pruned, missing, unreadable); a column
    a setting by its dotted name, None where it has no effect; then what the run's record holds:
    `reported_metric`, `reported_epoch`, `best_metric`, `final_metric`, `collapsed`, `metric` and
    others. Metrics are 0 to 1. With `epochs`, the settings of the finished runs and, of each
    epoch, `epoch`, `step`, `train_loss`, `alpha`, `budget_spent_params`, the metrics by name,
    `ranks` and `integer_ranks` (tuples, of the matrices in `matrices`). With `ranks`, the settings
    of the finished runs with `allocation=random_square` and, of each rank of their range, `rank`
    and `metric`, the headline metric after the last epoch with all matrices at that rank.

    Args:
        folder: of a sweep, `outputs/demo`; or several, whose names then stand in the column
            `sweep`.
        epochs: a row per epoch instead of per run.
        ranks: a row per rank instead of per run.

    Raises:
        SettingError: both epochs and ranks are asked for.
        LoraSweepError: a folder holds no sweep, or two have the same name.
        RecordError: the list of the runs that were asked for can't be read.
    """
    require(not (epochs and ranks), "ranks", "false with epochs", ranks)
    records: dict[Path, RunRecord] = {}
    keep = records.__setitem__ if epochs or ranks else None
    if isinstance(folder, str | PathLike):
        start = expand_home("folder", Path(folder))
        runs = collect_runs(start, on_record=keep)
    else:
        start = Path.cwd()
        folders = [expand_home("folder", Path(one)).resolve() for one in folder]
        runs = collect_sweeps(folders_by_name(folders), start=start, on_record=keep)
    if not epochs and not ranks:
        return runs
    rows_of = _epochs if epochs else _ranks
    of_run = {path.resolve(): rows_of(record) for path, record in records.items()}
    names = ["folder", *setting_names(runs)]
    parts = [
        found.assign(**{name: [row[name]] * len(found) for name in names})
        for row in runs.to_dict("records")
        if (found := of_run.get((start / row["folder"]).resolve())) is not None and len(found)
    ]
    if not parts:
        return pd.DataFrame(columns=names)
    table = pd.concat(parts, ignore_index=True)
    return table[[*names, *(name for name in table.columns if name not in names)]]


def _epochs(record: RunRecord) -> pd.DataFrame:
    rows = [
        {
            "epoch": one.epoch,
            "step": one.step,
            "train_loss": one.train_loss,
            "alpha": one.alpha,
            "budget_spent_params": one.budget_spent_params,
            **one.metrics,
            "ranks": tuple(one.ranks),
            "integer_ranks": tuple(one.integer_ranks),
            "matrices": tuple(record.matrices),
        }
        for one in record.epochs
    ]
    return pd.DataFrame(rows)


def _ranks(record: RunRecord) -> pd.DataFrame:
    curve = rank_curve(record.epochs)
    return pd.DataFrame({"rank": list(curve), "metric": list(curve.values())})
