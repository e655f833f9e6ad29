"""One look for all pictures: colours, orders, sizes, legends outside the axes.

Colours are seaborn's for colour-blind readers; what they tell is also told by a marker, a line
style, a hatch or a position, so that it survives a grey print.
"""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lora_sweep.report.table.labels import init_words

_LONGEST = 30
_LEGEND_WIDTH = 40
_LINE = 0.2
"""Inches that a line of text takes."""
Colour = tuple[float, float, float]

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "xx", "\\\\", "++")
BEHIND, BETWEEN = 0.5, 1.5
"""Where bands and baselines are drawn: bars and fields are at 1, lines and points at 2."""
BASELINE_COLOURS = ("#c0392b", "#222222", "#7f6a00", "#1a5e20")
"""Red and black as in the study, then two more."""


def named_colours(names: Sequence[str]) -> dict[str, Colour]:
    """Returns a colour for each name, the same for the same place in the order."""
    palette = sns.color_palette("colorblind", max(1, len(names)))
    return dict(zip(names, palette, strict=True))


def init_label(init: str) -> str:
    """Returns an init's name as pictures write it: cut where it would leave no room."""
    words = init_words(init)
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def graded_colours(n: int) -> list[Colour]:
    """Returns n colours from dark to light, for values that have an order."""
    return list(sns.color_palette("cividis", n))


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of so many inches that makes room for all its text."""
    return Figure(figsize=(width, height), layout="constrained")


def legend_beside(axes: Axes) -> None:
    """Puts the legend to the right of the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        n_columns = 1 + len(handles) // 20
        axes.legend(
            handles,
            [fill(label, _LEGEND_WIDTH, break_long_words=False) for label in labels],
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            frameon=False,
            ncols=n_columns,
            fontsize=8,
        )


def name_group(figure: Figure, name: str) -> None:
    """Writes above a picture of which runs it is.

    Args:
        figure: with a title of its own or of its axes.
        name: of the runs' group.
    """
    said = fill(name, int(12 * figure.get_figwidth()), break_long_words=False)
    figure.set_figheight(figure.get_figheight() + _LINE * len(said.splitlines()))
    title = figure.get_suptitle()
    figure.suptitle(f"{title}\n{said}" if title else said, fontsize="medium")


def line_look(place: int) -> dict[str, Any]:
    """Returns line style and marker of the place in an order, which tell lines apart in grey."""
    return {"linestyle": DASHES[place % len(DASHES)], "marker": MARKERS[place % len(MARKERS)]}


def every(n: int, *, most: int = 25) -> int:
    """Returns the step that leaves at most so many of n ticks."""
    return max(1, -(-n // most))


def whole_ticks(axes: Axes) -> None:
    """Puts ticks along x at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def number_ticks(axes: Axes, n: int, *, first: int = 1) -> None:
    """Numbers n places along x, as many of them as there is room for."""
    places = range(0, n, every(n, most=25 if n < 100 else 15))
    axes.set_xticks(list(places), [str(first + place) for place in places])
    axes.set_xlim(-0.6, n - 0.4)
