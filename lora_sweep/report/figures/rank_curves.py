"""A picture of the metric over the rank, of runs that train random squares of R."""

import pandas as pd
from matplotlib.figure import Figure

from lora_sweep.report.figures.style import (
    graded_colours,
    legend_beside,
    line_look,
    new_figure,
    whole_ticks,
)


def draw_rank_curves(curves: pd.DataFrame, metric: str) -> Figure:
    """Returns a line over the ranks for each cell, with a band of one std where there is one.

    Args:
        curves: as from `rank_curves`, with some rows.
        metric: its name.
    """
    figure = new_figure(7.0, 4.0)
    axes = figure.add_subplot()
    colours = graded_colours(curves["cell"].nunique())
    for place, (name, own) in enumerate(curves.groupby("cell", sort=False)):
        median, std = 100 * own["median"], 100 * own["std"]
        if std.notna().any():
            low, high = median - std, median + std
            axes.fill_between(
                own["rank"], low, high, color=colours[place], alpha=0.15, linewidth=0
            )
        axes.plot(own["rank"], median, color=colours[place], **line_look(place), label=name)
    whole_ticks(axes)
    axes.set(
        title="The metric over the rank of all matrices\n(median ± std over the seeds)",
        xlabel="rank",
        ylabel=f"{metric} × 100",
    )
    legend_beside(axes)
    return figure
