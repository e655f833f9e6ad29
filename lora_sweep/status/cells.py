"""The best cell so far, of runs that are still coming in."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lora_sweep.status.folders import Run
from lora_sweep.store.run_folder import Settings
from lora_sweep.store.state import State
from lora_sweep.vocabulary import FIXED, SPELLED


@dataclass(frozen=True)
class CellStatus:
    """A cell with a finished run.

    Attributes:
        settings: those in which the sweep's cells differ, dotted name -> value.
        metric: what is reported.
        metric_words: the same with the label that it is of.
        median: of the reported metric over the finished runs, 0 to 1.
        n_seeds: finished runs.
        n_expected: runs of the cell, whatever became of them.
        n_collapsed: finished runs that predict one class only.
    """

    settings: dict[str, Any]
    metric: str
    metric_words: str
    median: float
    n_seeds: int
    n_expected: int
    n_collapsed: int

    @property
    def is_complete(self) -> bool:
        """Whether all runs of the cell are finished."""
        return self.n_seeds == self.n_expected


def best_cells(runs: Iterable[Run]) -> list[CellStatus]:
    """Returns, of each metric and data set, the cell with the highest median.

    F1 of one label and F1 of the other are two metrics.

    Where that one lacks runs, the best of the complete cells follows it, if there is one.
    """
    members: dict[str, list[Run]] = {}
    for run in runs:
        if run.cell:
            members.setdefault(run.cell, []).append(run)
    differing = _differing([_shown(cell[0].settings) for cell in members.values()])
    by_task: dict[tuple[str, str], list[CellStatus]] = {}
    for cell in members.values():
        finished = [run for run in cell if run.state is State.FINISHED]
        if finished:
            task = finished[0].metric_words, _corpus(finished[0].settings)
            by_task.setdefault(task, []).append(_describe(cell, finished, differing))
    return [best for cells in by_task.values() for best in _best(cells)]


def _describe(
    cell: Sequence[Run], finished: Sequence[Run], differing: Sequence[str]
) -> CellStatus:
    settings = _shown(cell[0].settings)
    return CellStatus(
        settings={name: settings[name] for name in differing if settings.get(name) is not None},
        metric=finished[0].metric,
        metric_words=finished[0].metric_words,
        median=statistics.median(run.value for run in finished),
        n_seeds=len(finished),
        n_expected=len(cell),
        n_collapsed=sum(run.collapsed for run in finished),
    )


def _best(cells: Sequence[CellStatus]) -> list[CellStatus]:
    first = max(cells, key=lambda cell: cell.median)
    complete = [cell for cell in cells if cell.is_complete]
    if first.is_complete or not complete:
        return [first]
    return [first, max(complete, key=lambda cell: cell.median)]


def _corpus(settings: Settings) -> str:
    """What is the same for runs over one corpus, wherever its files lie."""
    own = {n: v for n, v in settings.items() if n.startswith("data.") and n not in SPELLED}
    return json.dumps(own, sort_keys=True)


def _shown(settings: Settings) -> Settings:
    """The settings without the size of R where ranks are fixed: they have no range."""
    return settings | {"rank.max": None} if settings.get("init") == FIXED else settings


def _differing(all_settings: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the settings, but the seed, that have several values; no effect is no value.

    One that says the same as another in every cell, as a budget that follows `rank.average`, is
    left out.
    """
    columns: dict[str, list[Any]] = {}
    for name in dict.fromkeys(name for settings in all_settings for name in settings):
        column = [settings.get(name) for settings in all_settings]
        distinct = {json.dumps(value) for value in column if value is not None}
        is_told = any(_repeats(column, other) for other in columns.values())
        if name != "seed" and len(distinct) > 1 and not is_told:
            columns[name] = column
    return list(columns)


def _repeats(column: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(value in (None, known) for value, known in zip(column, other, strict=True))
