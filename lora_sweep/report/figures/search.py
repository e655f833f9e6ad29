"""Pictures of a search: its trials by each setting, what mattered, the front, the second look."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from lora_sweep.report.figures.style import legend_beside, named_colours, new_figure
from lora_sweep.report.search.trials import (
    finished_trials,
    pareto_front,
    second_looks,
    setting_names,
    spread,
)
from lora_sweep.store.search_record import SearchRecord, TrialRecord, Value
from lora_sweep.vocabulary import FAILED, PRUNED

_ROW = 3
"""Settings beside each other."""
_WIDE = 10.0
"""A real setting whose values span such a factor stands on a logarithmic axis."""
_LOOKS = {PRUNED: ("|", "0.35"), FAILED: ("x", "#c0392b")}


def search_figures(record: SearchRecord) -> Iterator[tuple[str, str, Figure]]:
    """Returns file name, title and figure of each picture that there is something for."""
    if any(trial.params for trial in finished_trials(record)):
        yield "search_slices", "The search: every trial by each setting", draw_slices(record)
    if finished_trials(record) and len(record.objectives) > 1:
        yield "search_front", "The search: the Pareto front", draw_front(record)
    if record.importances:
        yield "search_importances", "The search: what mattered", draw_importances(record)
    if any(not math.isnan(look.optimism) for look in second_looks(record)):
        yield "search_fresh", "The best trials again, on fresh seeds", draw_fresh(record)


def draw_slices(record: SearchRecord) -> Figure:
    """Returns a field a setting: each finished trial's median, later trials lighter.

    Pruned and failed trials have no median; they stand as marks along the lower edge.
    """
    names = setting_names(record)
    n_columns = min(_ROW, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = new_figure(2.0 + 2.9 * n_columns, 0.9 + 2.6 * n_rows)
    fields = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for place, (axes, name) in enumerate(zip(fields, names, strict=False)):
        _draw_slice(axes, record, name)
        axes.set_title(name, fontsize=10)
        if place % n_columns == 0:
            axes.set_ylabel(f"{record.objectives[0]} × 100")
    for axes in fields[len(names) :]:
        axes.set_axis_off()
        axes.set_title(" ")
    figure.suptitle("Every trial by each setting (median over the seeds)")
    legend_beside(fields[n_columns - 1])
    return figure


def draw_front(record: SearchRecord) -> Figure:
    """Returns the metric over the trained parameters, and the Pareto front as steps."""
    figure = new_figure(7.0, 4.2)
    axes = figure.add_subplot()
    front = pareto_front(record)
    on_front = {trial.number for trial in front}
    others = [trial for trial in finished_trials(record) if trial.number not in on_front]
    axes.scatter(*_objectives(others), color="0.6", s=22, label="other trials")
    costs, metrics = _objectives(front)
    axes.step(
        costs, metrics, where="post", color="#0173b2", marker="o", label="Pareto front", zorder=3
    )
    axes.set(
        title="What the trained parameters buy",
        xlabel="trained parameters (entries of R within the ranks, and logits)",
        ylabel=f"{record.objectives[0]} × 100",
    )
    legend_beside(axes)
    return figure


def draw_importances(record: SearchRecord) -> Figure:
    """Returns a bar a setting: its share in the metric's variance, the largest on top."""
    shares = sorted((record.importances or {}).items(), key=lambda one: (one[1], one[0]))
    names = [name for name, _ in shares]
    percents = [100 * share for _, share in shares]
    figure = new_figure(6.5, 1.4 + 0.38 * len(names))
    axes = figure.add_subplot()
    drawn = axes.barh(names, percents, color=sns.color_palette("colorblind")[0], height=0.7)
    axes.bar_label(drawn, fmt="%.1f", padding=3, fontsize=8)
    axes.set(title="What mattered in the search", xlabel="share of the metric's variance, percent")
    axes.margins(x=0.12)
    return figure


def draw_fresh(record: SearchRecord) -> Figure:
    """Returns, for each trial that was run again, its median ± std before and on fresh seeds."""
    looks = [look for look in second_looks(record) if not math.isnan(look.optimism)]
    figure = new_figure(max(5.5, 3.5 + 0.9 * len(looks)), 4.2)
    axes = figure.add_subplot()
    colours = named_colours(["in the search", "on fresh seeds"])
    sides = (
        ("in the search", [look.metrics for look in looks], -0.1, "o"),
        ("on fresh seeds", [look.fresh_metrics for look in looks], 0.1, "s"),
    )
    for name, metrics, shift, marker in sides:
        medians, stds = np.array([spread(own) for own in metrics]).T
        axes.errorbar(
            np.arange(len(looks)) + shift,
            100 * medians,
            yerr=100 * stds,  # none where a trial has one seed
            fmt=marker,
            color=colours[name],
            capsize=4,
            markersize=7,
            label=name,
        )
    axes.set_xticks(range(len(looks)), [f"trial {look.number}" for look in looks], fontsize=8)
    axes.set_xlim(-0.6, len(looks) - 0.4)
    axes.set(
        title="The best trials again (median ± std over the seeds)",
        ylabel=f"{record.objectives[0]} × 100",
    )
    legend_beside(axes)
    return figure


def _draw_slice(axes: Axes, record: SearchRecord, name: str) -> None:
    """One field: the trials that have the setting."""
    trials = [trial for trial in record.trials if name in trial.params]
    places = dict(zip([t.number for t in trials], _places(axes, trials, name), strict=True))
    finished = [trial for trial in finished_trials(record) if trial.number in places]
    axes.scatter(
        [places[trial.number] for trial in finished],
        [100 * trial.values[0] for trial in finished if trial.values is not None],
        c=[trial.number for trial in finished],
        cmap="cividis",
        vmin=0,
        vmax=max(1, *(trial.number for trial in record.trials)),
        edgecolors="0.2",
        linewidths=0.5,
        s=30,
        label="finished, later ones lighter",
    )
    axes.margins(y=0.12)  # room for the marks below
    # Marks along the edge widen no limits of their own.
    axes.update_datalim([(x, 0.0) for x in places.values()], updatey=False)
    axes.autoscale_view()
    for status, (marker, colour) in _LOOKS.items():
        own = [places[trial.number] for trial in trials if trial.status == status]
        if own:
            bottom = axes.get_xaxis_transform()
            height = [0.03] * len(own)
            axes.scatter(own, height, marker=marker, c=colour, transform=bottom, label=status)


def _places(axes: Axes, trials: Sequence[TrialRecord], name: str) -> list[float]:
    """Where a setting's values stand along x: numbers as they are, words beside each other."""
    values: list[Value] = [trial.params[name] for trial in trials]
    if any(isinstance(value, str | bool) for value in values):
        words = sorted({str(value) for value in values})
        axes.set_xticks(range(len(words)), words, rotation=30 if len(words) > 2 else 0, fontsize=8)
        axes.set_xlim(-0.6, len(words) - 0.4)
        return [float(words.index(str(value))) for value in values]
    numbers = [float(value) for value in values]
    if all(isinstance(value, int) for value in values):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    elif min(numbers) > 0 and max(numbers) >= _WIDE * min(numbers):
        _log_axis(axes, max(numbers) / min(numbers))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    return numbers


def _log_axis(axes: Axes, span: float) -> None:
    """A logarithmic x with plain numbers on it, as many as there is room for."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if span < 300 else (1.0,)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _objectives(trials: Sequence[TrialRecord]) -> tuple[list[float], list[float]]:
    """Trained parameters and metric × 100 of finished trials."""
    values = [trial.values for trial in trials if trial.values is not None]
    return [value[1] for value in values], [100 * value[0] for value in values]
