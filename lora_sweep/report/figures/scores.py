"""Pictures of the metric: runs of an init, inits compared, curves over the epochs, medians."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lora_sweep.report.figures.style import (
    BASELINE_COLOURS,
    BEHIND,
    BETWEEN,
    MARKERS,
    Colour,
    graded_colours,
    init_label,
    legend_beside,
    line_look,
    named_colours,
    new_figure,
    number_ticks,
    whole_ticks,
)
from lora_sweep.report.table.cell_names import cell_names, other_settings
from lora_sweep.report.table.courses import Course
from lora_sweep.vocabulary import FINISHED, FIXED

MOST_CURVES = 8
"""Cells of an init whose curves can be told apart."""


@dataclass(frozen=True)
class Band:
    """A baseline: its name, median and std in percent; a std of NaN is not drawn."""

    name: str
    median: float
    std: float


def baseline_bands(summary: pd.DataFrame) -> list[Band]:
    """Returns the baselines that have a finished run."""
    fixed = summary[summary["init"] == FIXED]
    fixed = fixed.assign(name=cell_names(fixed))[fixed["median"].notna()]
    fixed = fixed.sort_values("rank.average", kind="stable")
    return [
        Band(cell["name"], 100 * cell["median"], 100 * cell["std"])
        for cell in fixed.to_dict("records")
    ]


def draw_runs(runs: pd.DataFrame, init: str, bands: Sequence[Band], metric: str) -> Figure:
    """Returns a bar for each finished run of an init, best first, coloured by cell.

    Where the cells are too many to be told apart, by learning rate.

    Args:
        runs: as from `collect_runs`.
        init: whose runs.
        bands: baselines behind the bars.
        metric: its name.
    """
    own = runs[(runs["status"] == FINISHED) & (runs["init"] == init)]
    own = own.sort_values("reported_metric", ascending=False, kind="stable")
    heights = 100 * own["reported_metric"].to_numpy(float)
    figure = new_figure(min(14.0, 5.0 + 0.16 * len(own)), 4.2)
    axes = figure.add_subplot()
    labels = _run_labels(own)
    names = list(dict.fromkeys(labels[i] for i in np.argsort(own["lr"].fillna(0), kind="stable")))
    colours = graded_colours(len(names))
    for colour, name in zip(colours, names, strict=True):
        places = [i for i, label in enumerate(labels) if label == name]
        grey = {"color": "0.6"}  # runs by importance have no learning rate to tell
        look = {"color": colour, "label": name} if name else grey
        axes.bar(places, heights[places], width=0.8, **look)
    _draw_bands(axes, bands)
    _from_zero(axes, heights, bands)
    number_ticks(axes, len(own))
    axes.set(
        title=f"{init_label(init)}: every run, best first",
        xlabel="run, by its metric",
        ylabel=f"{metric} × 100",
    )
    legend_beside(axes)
    return figure


def draw_comparison(summary: pd.DataFrame, bands: Sequence[Band], metric: str) -> Figure:
    """Returns each init's best cell as a point with its std, over the baselines' bands.

    Args:
        summary: as from `summarise_runs`.
        bands: baselines.
        metric: its name.
    """
    cells = summary.assign(words=_cell_labels(summary, "\n"))
    cells = cells[(cells["init"] != FIXED) & cells["median"].notna()]
    best = cells.drop_duplicates("init")  # within an init the best cell stands first
    labels = [f"{init_label(c['init'])}\n{c['words']}" for c in best.to_dict("records")]
    is_rotated = len(best) > 6
    longest = max((len(line) for label in labels for line in label.splitlines()), default=0)
    inches = 1.0 if is_rotated else max(1.0, 0.075 * longest)  # so that labels don't overlap
    figure = new_figure(max(5.5, 2.5 + inches * len(best)), 4.2)
    axes = figure.add_subplot()
    colours = named_colours(best["init"].tolist())
    for place, cell in enumerate(best.to_dict("records")):
        axes.errorbar(
            place,
            100 * cell["median"],
            yerr=None if pd.isna(cell["std"]) else 100 * cell["std"],  # one seed shows no spread
            fmt=MARKERS[place % len(MARKERS)],
            color=colours[cell["init"]],
            markeredgecolor="0.1",
            ecolor="0.25",  # light colours would vanish on the bands
            capsize=5,
            markersize=8,
        )
    _draw_bands(axes, bands)
    axes.set_xticks(range(len(best)), labels, rotation=30 if is_rotated else 0, fontsize=8)
    axes.set_xlim(-0.6, len(best) - 0.4)
    low, high = axes.get_ylim()
    if high - low < 1e-6:  # all metrics are equal: a scale of rounding errors would show
        axes.set_ylim(low - 1.0, high + 1.0)
    title = "Each init's best cell\n(median ± std over the seeds)"
    axes.set(title=title, ylabel=f"{metric} × 100")
    legend_beside(axes)
    return figure


def draw_medians(summary: pd.DataFrame, metric: str) -> Figure | None:
    """Returns the medians of all learnt cells as a heat map, init × learning rate.

    Where several cells share both, the best is shown. None with less than two fields to compare.

    Args:
        summary: as from `summarise_runs`.
        metric: its name.
    """
    cells = summary[summary["median"].notna() & summary["lr"].notna()]
    if cells.empty:
        return None
    table = cells.assign(value=100 * cells["median"]).pivot_table(
        index="init", columns="lr", values="value", aggfunc="max", sort=False
    )
    which = "\n(the best where cells share a field)" if len(cells) > table.count().sum() else ""
    table = table.reindex(sorted(table.columns), axis=1).astype(float)
    if table.size < 2:
        return None
    figure = new_figure(4.5 + 0.8 * table.shape[1], 2.0 + 0.5 * table.shape[0])
    axes = figure.add_subplot()
    sns.heatmap(
        table,
        ax=axes,
        annot=True,
        fmt=".1f",
        cmap="cividis",
        cbar_kws={"label": "median × 100"},
    )
    axes.set_yticks(axes.get_yticks(), [init_label(str(init)) for init in table.index], rotation=0)
    axes.set_xticks(axes.get_xticks(), [f"{lr:g}" for lr in table.columns], rotation=0)
    axes.set(
        title=f"{metric}, median over the seeds{which}",
        xlabel="learning rate of the logits",
        ylabel="",
    )
    return figure


def draw_curves(
    summary: pd.DataFrame, courses: Mapping[str, Course], init: str, metric: str
) -> Figure | None:
    """Returns the metric over the epochs: a thin line a seed, mean and std band of each cell.

    None where no run of the init is finished.

    Args:
        summary: as from `summarise_runs`.
        courses: run folder -> how the run went.
        init: whose cells.
        metric: its name.
    """
    own = summary[(summary["init"] == init) & (summary["n_seeds"] > 0)]
    if own.empty:
        return None
    best = own.head(MOST_CURVES)  # the best stand first
    best = best.assign(words=_cell_labels(best, ", "))
    cells = best.sort_values("lr", kind="stable").to_dict("records")
    colours = graded_colours(len(cells))
    figure = new_figure(8.0, 4.2)
    axes = figure.add_subplot()
    for place, cell in enumerate(cells):
        lines = [100 * courses[folder].metric for folder in cell["folders"]]
        _draw_cell_curves(axes, lines, cell["words"], colour=colours[place], place=place)
    which = f", best {MOST_CURVES} of {len(own)} cells" if len(own) > MOST_CURVES else ""
    axes.set(
        title=f"{init_label(init)}: learning curves, a thin line a seed{which}",
        xlabel="epoch",
        ylabel=f"{metric} × 100",
    )
    whole_ticks(axes)
    legend_beside(axes)
    return figure


def _draw_cell_curves(
    axes: Axes, lines: Sequence[NDArray[np.float64]], label: str, *, colour: Colour, place: int
) -> None:
    for line in lines:
        axes.plot(
            range(1, len(line) + 1),
            line,
            color=colour,
            linewidth=0.6,
            alpha=min(0.6, 4 / len(lines)),
        )
    n = min(map(len, lines))
    values = np.array([line[:n] for line in lines])
    mean, epochs = values.mean(axis=0), range(1, n + 1)
    if len(lines) > 1:
        std = values.std(axis=0, ddof=1)
        axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        epochs,
        mean,
        color=colour,
        linewidth=2,
        **line_look(place),
        markevery=max(1, n // 8),
        markersize=5,
        label=label,
    )


def _draw_bands(axes: Axes, bands: Sequence[Band]) -> None:
    """Spans behind the bars, which keep their colours; medians over bars, under points."""
    for place, band in enumerate(bands):
        colour = BASELINE_COLOURS[place % len(BASELINE_COLOURS)]
        dashes = ("--", ":", "-.")[place % 3]
        axes.axhline(
            band.median,
            color=colour,
            linestyle=dashes,
            linewidth=1.5,
            label=band.name,
            zorder=BETWEEN,
        )
        if not np.isnan(band.std):
            low, high = band.median - band.std, band.median + band.std
            axes.axhspan(low, high, color=colour, alpha=0.12, linewidth=0, zorder=BEHIND)


def _from_zero(axes: Axes, heights: Sequence[float] | np.ndarray, bands: Sequence[Band]) -> None:
    """Lets y reach from 0 to all runs and bands: a bar's length is what it says."""
    stds = [0.0 if np.isnan(band.std) else band.std for band in bands]
    lows = [0.0, *heights, *(band.median - std for band, std in zip(bands, stds, strict=True))]
    highs = [0.0, *heights, *(band.median + std for band, std in zip(bands, stds, strict=True))]
    low, high = min(lows), max(highs)
    margin = 0.08 * (high - low) or 1.0
    top = high + margin if high > 0 else 0.0
    axes.set_ylim(*((low - margin, top) if low < 0 else (0.0, top or margin)))


def _cell_labels(cells: pd.DataFrame, between: str) -> list[str]:
    """What tells cells of one init apart: `LR 0.01, rank.max=25`."""
    both = zip(map(_lr, cells["lr"]), other_settings(cells), strict=True)
    return [between.join([*([lr] if lr else []), *others]) for lr, others in both]


def _run_labels(runs: pd.DataFrame) -> list[str]:
    """The labels of the runs' cells; of the learning rates alone where those are too many."""
    labels = _cell_labels(runs, ", ")
    return labels if len(set(labels)) <= MOST_CURVES else [_lr(lr) for lr in runs["lr"]]


def _lr(lr: Any) -> str:
    return "" if pd.isna(lr) else f"LR {lr:.12g}"
