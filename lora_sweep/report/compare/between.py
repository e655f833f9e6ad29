"""Several sweeps against the first: cells of the same settings, seed by seed."""

from typing import Any

import numpy as np
import pandas as pd

from lora_sweep.report.compare.comparison import Line, compare_pairs
from lora_sweep.report.compare.sentences import line_table
from lora_sweep.report.pages.tables import cell_words
from lora_sweep.report.table.arms import Arm
from lora_sweep.report.table.summarise import cell_settings, summarise_runs
from lora_sweep.vocabulary import FINISHED

_READ = """\
A cell of the first sweep against the cell with the same settings in another one, each seed
against itself. Columns are read as above; the correction is over all lines of this table."""


def between_section(runs: pd.DataFrame, *, region: float) -> list[str]:
    """Returns paragraphs of Markdown; none without several sweeps that share a cell.

    Args:
        runs: as from `collect_sweeps`.
        region: of practical equivalence, percent points.
    """
    lines = compare_sweeps(runs, region=region)
    if not lines:
        return []
    return ["## Between the sweeps", line_table(lines), " ".join(_READ.split())]


def compare_sweeps(runs: pd.DataFrame, *, region: float) -> tuple[Line, ...]:
    """Returns a line for each cell and later sweep: later minus first.

    Args:
        runs: as from `collect_sweeps`.
        region: of practical equivalence, percent points.
    """
    if "sweep" not in runs.columns:
        return ()
    summary = summarise_runs(runs[runs["status"] == FINISHED])
    value_of = dict(zip(runs["folder"], 100 * runs["reported_metric"], strict=True))
    settings = [name for name in cell_settings(summary) if name != "sweep"]
    first = runs["sweep"].iloc[0]
    pairs = []
    for _, same in summary.groupby(settings, dropna=False, sort=False):
        cells = {cell["sweep"]: cell for cell in same.to_dict("records")}
        if first in cells:
            arms = {sweep: _arm(cell, value_of) for sweep, cell in cells.items()}
            pairs += [(arm, arms[first]) for sweep, arm in arms.items() if sweep != first]
    return compare_pairs(pairs, region=region)


def _arm(cell: dict[Any, Any], value_of: dict[str, float]) -> Arm:
    first = dict(zip(reversed(cell["seeds"]), reversed(cell["folders"]), strict=True))
    seeds = tuple(sorted(first))
    values = np.array([[value_of[first[seed]] for seed in seeds]])
    return Arm(cell_words(cell), seeds, values, len(cell["seeds"]) - len(seeds))
