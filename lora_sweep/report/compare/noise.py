"""How sure the metric itself is: each init's best cell and the baselines, with their intervals."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lora_sweep.errors import RecordError
from lora_sweep.report.pages.markdown_tables import to_markdown
from lora_sweep.report.pages.tables import Table, cell_words
from lora_sweep.report.statistics.dev_noise import MetricInterval, metric_interval
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.store.predictions import read_predictions
from lora_sweep.store.run_folder import PREDICTIONS_FILE
from lora_sweep.vocabulary import FIXED

_READ = """\
Mean: of the cell's metric over the seeds that trained (a collapsed run says nothing of them),
× 100. Interval: where that mean would lie, 95 times in
100, with other seeds and another dev set of this size. Error from seeds, from dev examples: the
standard error that each of them leaves. More seeds make the first smaller, only more dev examples
the second. The inits' intervals share their dev examples, so overlapping ones do not mean that
the inits are equal; the comparison by seed says more. The best cell of an init was chosen by
these very values, so its mean is flattered."""

_log = logging.getLogger(__name__)


def noise_section(sweep: Sweep) -> list[str]:
    """Returns paragraphs of Markdown; none where no run left its dev predictions.

    Args:
        sweep: with run folders that can be read.
    """
    rows = tuple(
        (
            _words(cell, interval),
            interval.n_seeds,
            f"{100 * interval.mean:.2f}",
            _range(interval),
            _points(interval.seed_error),
            _points(interval.dev_error),
        )
        for cell, interval in _intervals(sweep)
    )
    if not rows:
        return []
    headers = ("Cell", "Seeds", "Mean", "95 % interval", "Error from seeds", "From dev examples")
    table = Table("How sure is the metric itself?", headers, rows, kept=headers[2:])
    return [f"## {table.title}", to_markdown(table), " ".join(_READ.split())]


def _intervals(sweep: Sweep) -> Iterator[tuple[dict[Any, Any], MetricInterval]]:
    runs = sweep.runs.set_index("folder")
    for cell in _shown(sweep.summary).to_dict("records"):
        own = runs.loc[list(cell["folders"])]
        trained = own[~own["collapsed"].fillna(False).astype(bool)]
        interval = _interval(sweep.folder, list(trained.index), trained)
        if interval is not None:
            yield cell, interval


def _shown(summary: pd.DataFrame) -> pd.DataFrame:
    """The best cell of each init (in each sweep and task), and all baselines."""
    finished = summary[summary["n_seeds"] > 0]
    which = [name for name in ("init", "sweep", "data.task") if name in summary.columns]
    is_best = ~finished.duplicated(which)  # within an init the best cell stands first
    return finished[is_best | (finished["init"] == FIXED)]


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


def _words(cell: dict[Any, Any], interval: MetricInterval) -> str:
    n_collapsed = cell["n_seeds"] - interval.n_seeds
    left_out = f" ({n_collapsed} collapsed left out)" if n_collapsed else ""
    return cell_words(cell) + left_out


def _range(interval: MetricInterval) -> str:
    if math.isinf(interval.low):
        return "-"
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _points(error: float) -> str:
    return "-" if math.isnan(error) else f"{100 * error:.2f}"
