"""Scores of several runs -> a row per cell and metric: its median and std over the seeds."""

from collections.abc import Sequence
from math import nan
from statistics import median, stdev

from tabulate import tabulate

from lora_sweep.errors import SettingError
from lora_sweep.evaluate.score import Score
from lora_sweep.metrics import metric_words
from lora_sweep.report.table.cell_names import cell_names
from lora_sweep.report.table.tidy import checked_settings, to_table
from lora_sweep.report.text.values import median_and_std
from lora_sweep.trained.about import About
from lora_sweep.vocabulary import FINISHED

_HOW = "Median ± Std: over the seeds of a cell. By seed: the same values, the lowest seed first."
_HEADERS = ["Metric", "Cell", "Seeds", "Median ± Std", "By seed"]


def cells_of(abouts: Sequence[About]) -> list[str]:
    """Returns the name of each run's cell, in order.

    Args:
        abouts: of the runs, or of exports of them.

    Raises:
        SettingError: a run is there twice: its value would count as two seeds'.
    """
    rows = [
        {"folder": about.run, "status": FINISHED, **checked_settings(about.settings)}
        for about in abouts
    ]
    cells = cell_names(to_table(rows))
    known = set[tuple[str, int]]()
    for cell, about in zip(cells, abouts, strict=True):
        if (cell, _seed(about)) in known:
            raise SettingError(f"RUN must be another one each time, but got {about.run} twice")
        known.add((cell, _seed(about)))
    return cells


def cells_table(
    title: str, cells: Sequence[str], abouts: Sequence[About], scores: Sequence[Sequence[Score]]
) -> str:
    """Returns the medians of all cells and metrics as a table with a title, × 100.

    Args:
        title: what they are of.
        cells: of the runs, as from `cells_of`.
        abouts: of the runs.
        scores: of each run.
    """
    found: dict[str, dict[str, list[float | None]]] = {}
    runs = zip(cells, abouts, scores, strict=True)
    for cell, about, own in sorted(runs, key=lambda run: _seed(run[1])):
        for score in own:
            metric = metric_words(score.metric, about.label_names)
            found.setdefault(metric, {}).setdefault(cell, []).append(score.value)
    rows = [
        [metric, cell, len(values), _median_words(values), _values_words(values)]
        for metric, by_cell in found.items()
        for cell, values in by_cell.items()
    ]
    table = tabulate(rows, headers=_HEADERS, tablefmt="pipe", disable_numparse=True)
    return f"{title}\n\n{table}\n\n{_HOW}"


def _seed(about: About) -> int:
    return int(about.settings["seed"])


def _median_words(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "undefined"
    return str(median_and_std(median(known), stdev(known) if len(known) > 1 else nan))


def _values_words(values: Sequence[float | None]) -> str:
    return " ".join("-" if value is None else f"{100 * value:z.2f}" for value in values)
