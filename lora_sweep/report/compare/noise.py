"""How sure the metric itself is: each init's best cell and the baselines, with their intervals."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lora_sweep.errors import RecordError
from lora_sweep.report.statistics.dev_noise import MetricInterval, metric_interval
from lora_sweep.report.table.cell_names import cell_names
from lora_sweep.report.table.groups import group_runs
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.report.table.tidy import is_baseline
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import Table
from lora_sweep.store.predictions import read_predictions
from lora_sweep.store.run_folder import PREDICTIONS_FILE

_READ = """\
Mean: of the cell's metric over the seeds that trained (a collapsed run says nothing of them),
× 100. Interval: where that mean would lie, 95 times in
100, with other seeds and another dev set of this size. Error from seeds, from dev examples: the
standard error that each of them leaves. More seeds make the first smaller, only more dev examples
the second. The inits' intervals share their dev examples, so overlapping ones do not mean that
the inits are equal; the comparison by seed says more. The best cell of an init was chosen by
these very values, so its mean looks better than it is."""

_log = logging.getLogger(__name__)


def noise_section(sweep: Sweep) -> list[str]:
    """Returns paragraphs of Markdown; none where no run left its dev predictions.

    Args:
        sweep: with run folders that can be read.
    """
    rows = tuple(
        (
            _words(name, cell, interval),
            interval.n_seeds,
            f"{100 * interval.mean:.2f}",
            _range(interval),
            _points(interval.seed_error),
            _points(interval.dev_error),
        )
        for name, cell, interval in _intervals(sweep)
    )
    if not rows:
        return []
    headers = ("Cell", "Seeds", "Mean", "95 % interval", "Error from seeds", "From dev examples")
    table = Table("How sure is the metric itself?", headers, rows, kept=headers[2:])
    return [f"## {table.title}", to_markdown(table), " ".join(_READ.split())]


def _intervals(sweep: Sweep) -> Iterator[tuple[str, dict[Any, Any], MetricInterval]]:
    """Name, cell and interval of what is shown."""
    for name, cell in _shown(sweep.runs):
        own = sweep.runs[sweep.runs["folder"].isin(cell["folders"])].set_index("folder")
        trained = own[~own["collapsed"].fillna(False).astype(bool)]
        interval = _interval(sweep.folder, list(trained.index), trained)
        if interval is not None:
            yield name, cell, interval


def _shown(runs: pd.DataFrame) -> Iterator[tuple[str, dict[Any, Any]]]:
    """The best cell of each init and all baselines, in each group and sweep."""
    groups = group_runs(runs[runs["seed"].notna()], also=("sweep",))
    for group, own in groups.items():
        summary = summarise_runs(own)
        finished = summary.assign(name=cell_names(summary))[summary["n_seeds"] > 0]
        is_best = ~finished.duplicated("init")  # within an init the best cell stands first
        where = f"{group}: " if len(groups) > 1 else ""
        for cell in finished[is_best | is_baseline(finished)].to_dict("records"):
            yield f"{where}{cell['name']}", cell


def _interval(folder: Path, names: list[str], runs: pd.DataFrame) -> MetricInterval | None:
    """The interval of a cell; None if its runs have no predictions, or not over one dev set."""
    epochs = runs["reported_epoch"].astype(int).to_dict()
    if not names or not all((folder / name / PREDICTIONS_FILE).exists() for name in names):
        return None
    predicted, labels = [], None
    try:
        for name in names:
            dev = read_predictions(folder / name / PREDICTIONS_FILE)
            own, own_labels = dev.headline(epochs[name])
            if labels is not None and not np.array_equal(labels, own_labels):
                return None
            predicted.append(own)
            labels = own_labels
        metric = str(runs.at[names[0], "metric"])
        return None if labels is None else metric_interval(np.stack(predicted), labels, metric)
    except (RecordError, IndexError, ValueError) as error:
        _log.warning("no interval of the metric for the cell of %s: %s", names[0], error)
        return None


def _words(name: str, cell: dict[Any, Any], interval: MetricInterval) -> str:
    n_collapsed = cell["n_seeds"] - interval.n_seeds
    left_out = f" ({n_collapsed} collapsed left out)" if n_collapsed else ""
    return name + left_out


def _range(interval: MetricInterval) -> str:
    if math.isinf(interval.low):
        return "-"
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _points(error: float) -> str:
    return "-" if math.isnan(error) else f"{100 * error:.2f}"
