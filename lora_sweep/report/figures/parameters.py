"""Picture of the metric over the trained parameters, for sweeps over several kinds of adapters."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from lora_sweep.report.figures.style import (
    MARKERS,
    init_label,
    legend_beside,
    named_colours,
    new_figure,
)
from lora_sweep.report.table.tidy import KIND


def has_counts(summary: pd.DataFrame) -> bool:
    """Returns whether kinds of adapters differ, and several numbers of parameters were trained.

    Args:
        summary: as from `summarise_runs`.
    """
    return KIND in summary.columns and summary["n_trained"].nunique() > 1


def draw_parameters(summary: pd.DataFrame, metric: str) -> Figure:
    """Returns each cell's median with its std over its trained parameters without the head.

    The axis is logarithmic, with a place for 0: the head alone.

    Args:
        summary: as from `summarise_runs`.
        metric: its name.
    """
    cells = summary[summary["median"].notna() & summary["n_trained"].notna()]
    figure = new_figure(6.5, 4.2)
    axes = figure.add_subplot()
    colours = named_colours(list(dict.fromkeys(cells["init"])))
    for place, (init, colour) in enumerate(colours.items()):
        own = cells[cells["init"] == init]
        axes.errorbar(
            own["n_trained"].to_numpy(float),
            100 * own["median"].to_numpy(float),
            yerr=100 * own["std"].fillna(0).to_numpy(float),
            fmt=MARKERS[place % len(MARKERS)],
            color=colour,
            markeredgecolor="0.1",
            ecolor="0.25",
            capsize=4,
            label=init_label(init),
        )
    counts = cells["n_trained"].to_numpy(float)
    axes.set_xscale("symlog", linthresh=float(counts[counts > 0].min()))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set(
        title="The metric over trained parameters",
        xlabel="trained parameters without the head",
        ylabel=f"{metric} × 100",
    )
    legend_beside(axes)
    return figure
