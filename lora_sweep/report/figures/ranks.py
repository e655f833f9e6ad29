"""Pictures of the ranks: over the matrices, the layers, the epochs and the first steps."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lora_sweep.report.figures.style import (
    HATCHES,
    every,
    graded_colours,
    legend_beside,
    line_look,
    named_colours,
    new_figure,
    whole_ticks,
)
from lora_sweep.report.statistics.movement import thirds
from lora_sweep.report.table.components import component_groups, layer_of, matrix_labels
from lora_sweep.store.record import RunRecord


def draw_rank_bars(record: RunRecord, title: str) -> Figure:
    """Returns a bar for each adapted matrix, coloured by component, with lines between layers.

    Args:
        record: of the run.
        title: whose ranks these are.
    """
    ranks = record.reported_evaluation.integer_ranks
    groups = component_groups(record.matrices)
    colours = named_colours(list(groups))
    figure = new_figure(min(16.0, 5.0 + 0.12 * len(ranks)), 4.0)
    axes = figure.add_subplot()
    for place, (name, own) in enumerate(groups.items()):
        axes.bar(
            own,
            [ranks[i] for i in own],
            width=0.85,
            color=colours[name],
            hatch=HATCHES[place % len(HATCHES)],
            edgecolor="white",
            linewidth=0.3,
            label=name,
        )
    _mark_layers(axes, record.matrices)
    axes.set(title=title, ylabel="rank")
    legend_beside(axes)
    return figure


def draw_rank_lines(record: RunRecord, title: str) -> Figure:
    """Returns a line over the layers for each component.

    Args:
        record: of the run.
        title: whose ranks these are.
    """
    ranks = record.reported_evaluation.integer_ranks
    groups = component_groups(record.matrices)
    colours = named_colours(list(groups))
    figure = new_figure(7.0, 4.0)
    axes = figure.add_subplot()
    for place, (name, own) in enumerate(groups.items()):
        layers = [layer_of(record.matrices[i]) for i in own]
        axes.plot(
            [i if layer is None else layer for i, layer in zip(own, layers, strict=True)],
            [ranks[i] for i in own],
            color=colours[name],
            **line_look(place),
            label=name,
        )
    whole_ticks(axes)
    axes.set(title=title, xlabel="layer", ylabel="rank")
    legend_beside(axes)
    return figure


def draw_rank_map(record: RunRecord, title: str) -> Figure:
    """Returns the ranks of every matrix at every epoch's end as a heat map.

    Args:
        record: of the run.
        title: whose ranks these are.
    """
    ranks = np.array([epoch.ranks for epoch in record.epochs]).T  # (N, n_epochs)
    n_matrices, n_epochs = ranks.shape
    figure = new_figure(min(12.0, 6.0 + 0.2 * n_epochs), min(14.0, 2.5 + 0.16 * n_matrices))
    axes = figure.add_subplot()
    sns.heatmap(
        ranks,
        ax=axes,
        cmap="cividis",
        cbar_kws={"label": "real-valued rank"},
        xticklabels=False,  # its own labels take longer than all else, and are replaced
        yticklabels=False,
    )
    rows = range(0, n_matrices, every(n_matrices, most=70))
    names = matrix_labels(record.matrices)
    labels = [names[i] for i in rows]
    axes.set_yticks([i + 0.5 for i in rows], labels, fontsize=7, rotation=0)
    columns = range(0, n_epochs, every(n_epochs))
    axes.set_xticks([i + 0.5 for i in columns], [str(i + 1) for i in columns], rotation=0)
    axes.set(title=title, xlabel="epoch", ylabel="")
    return figure


def draw_first_steps(steps: Sequence[tuple[int, Sequence[float]]], title: str) -> Figure:
    """Returns every matrix's rank over the first steps, in a panel a third of the depth.

    Args:
        steps: (step, ranks) in order.
        title: whose ranks these are.
    """
    x = [step for step, _ in steps]
    ranks = np.array([own for _, own in steps])  # (n, N)
    groups = thirds(ranks.shape[1])
    figure = new_figure(11.0, 3.8)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (name, own) in zip(panels, groups.items(), strict=True):
        for colour, i in zip(graded_colours(len(own)), own, strict=True):
            axes.plot(x, ranks[:, i], color=colour, linewidth=1)
        axes.set(title=f"{name} of the matrices", xlabel="step")
    panels[0].set_ylabel("real-valued rank")
    figure.suptitle(f"{title} (within a panel, light is deeper)")
    return figure


def draw_budget(record: RunRecord, title: str) -> Figure:
    """Returns the budget, what of it lies over rank_max, and what the integer ranks spend.

    Args:
        record: of the run.
        title: whose budget this is.
    """
    epochs = [epoch.epoch for epoch in record.epochs]
    figure = new_figure(7.0, 3.8)
    axes = figure.add_subplot()
    lines: dict[str, list[float]] = {
        "budget": [epoch.budget_params for epoch in record.epochs],
        "spent by integer ranks": [epoch.budget_spent_params for epoch in record.epochs],
        "over rank_max, buys nothing": [epoch.budget_over_cap_params for epoch in record.epochs],
    }
    colours = named_colours(list(lines))
    for place, (name, values) in enumerate(lines.items()):
        axes.plot(
            epochs,
            values,
            color=colours[name],
            **line_look(place),
            label=name,
        )
    axes.set_ylim(bottom=0)
    whole_ticks(axes)
    unit = "entries of R" if record.rank_units is None else "parameters within the ranks"
    axes.set(title=title, xlabel="epoch", ylabel=unit)
    legend_beside(axes)
    return figure


def _mark_layers(axes: Axes, matrices: Sequence[str]) -> None:
    """Dashed lines between the layers, their numbers along x."""
    layers = [layer_of(name) for name in matrices]
    starts = [i for i, layer in enumerate(layers) if i == 0 or layer != layers[i - 1]]
    ends = [*starts[1:], len(matrices)]
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="0.5", linestyle="--", linewidth=0.5)
    shown = range(0, len(starts), every(len(starts)))
    axes.set_xticks(
        [(starts[i] + ends[i] - 1) / 2 for i in shown],
        ["-" if layers[starts[i]] is None else str(layers[starts[i]]) for i in shown],
    )
    axes.set_xlim(-0.6, len(matrices) - 0.4)
    axes.set_xlabel("layer")
