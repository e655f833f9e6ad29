"""The metric over the rank: a row a cell and rank, of runs that train random squares of R."""

from collections.abc import Mapping

import pandas as pd

from lora_sweep.report.table.cell_names import cell_names
from lora_sweep.report.table.courses import Course

_COLUMNS = ["cell", "rank", "median", "std", "n_seeds"]


def rank_curves(summary: pd.DataFrame, courses: Mapping[str, Course]) -> pd.DataFrame:
    """Returns the metric of every cell at every rank, after the last epoch; no row without curves.

    Columns: `cell`, its name among those with curves; `rank`; `median` and `std` (ddof = 1; NaN
    for one seed) over the runs, 0 to 1; `n_seeds`, the runs. Cells are ordered as in `summary`.

    Args:
        summary: as from `summarise_runs`.
        courses: run folder -> how the run went.
    """
    has_curve = [any(courses[one].by_rank for one in own) for own in summary["folders"]]
    if not any(has_curve):
        return pd.DataFrame(columns=_COLUMNS)
    cells = summary[has_curve]
    rows = []
    for name, folders in zip(cell_names(cells), cells["folders"], strict=True):
        curves = [courses[folder].by_rank for folder in folders]
        for rank in sorted({rank for curve in curves for rank in curve}):
            values = pd.Series([curve[rank] for curve in curves if rank in curve], dtype=float)
            rows.append((name, rank, values.median(), values.std(ddof=1), len(values)))
    return pd.DataFrame(rows, columns=_COLUMNS)
