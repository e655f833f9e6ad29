"""Pictures of the method: where the inits start, the distribution over ranks, and its masks."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lora_sweep.report.figures.style import (
    graded_colours,
    init_label,
    legend_beside,
    line_look,
    named_colours,
    new_figure,
    number_ticks,
)

Floats = NDArray[np.float64]


def draw_profiles(starts: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Returns the ranks that each init starts with, over the matrices in module order.

    Args:
        starts: init -> ranks before the first step (N,).
        title: whose they are.
    """
    figure = new_figure(8.0, 3.8)
    axes = figure.add_subplot()
    colours = named_colours(list(starts))
    for place, (init, ranks) in enumerate(starts.items()):
        axes.plot(
            range(len(ranks)),
            ranks,
            color=colours[init],
            **line_look(place),
            markevery=max(1, len(ranks) // 12),
            markersize=5,
            label=init_label(init),
        )
    number_ticks(axes, max(map(len, starts.values())))
    axes.set(title=title, xlabel="adapted matrix, in module order", ylabel="real-valued rank")
    legend_beside(axes)
    return figure


def draw_distribution(masks: Mapping[float, Floats], rank: float, title: str) -> Figure:
    """Returns p(k) for several alpha: the sharper, the more of it lies at the rank itself.

    Args:
        masks: alpha -> soft mask (r, r) of the rank.
        rank: real-valued.
        title: what is seen.
    """
    figure = new_figure(8.0, 3.8)
    axes = figure.add_subplot()
    for place, (alpha, mask) in enumerate(masks.items()):
        above = np.append(np.diag(mask), 0.0)  # P(k > m) for m = 0 ... r
        axes.plot(
            range(1, len(above)),
            above[:-1] - above[1:],
            color=graded_colours(len(masks))[place],
            **line_look(place),
            markersize=4,
            label=f"alpha {alpha:g}",
        )
    axes.axvline(rank, color="0.5", linestyle=":", label=f"rank {rank:.1f}")
    axes.set_ylim(bottom=0)
    axes.set(title=title, xlabel="k", ylabel="p(k)")
    legend_beside(axes)
    return figure


def draw_masks(masks: Mapping[float, Floats], discrete: Floats, title: str) -> Figure:
    """Returns the soft masks for several alpha and the discrete one, as images.

    Args:
        masks: alpha -> soft mask (r, r).
        discrete: mask (r, r).
        title: whose they are.
    """
    panels = {f"alpha {alpha:g}": mask for alpha, mask in masks.items()} | {"discrete": discrete}
    figure = new_figure(2.2 * len(panels) + 1.2, 3.2)
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (name, mask) in zip(row, panels.items(), strict=True):
        image = axes.imshow(mask, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        axes.set(title=name, xlabel="column of R")
    row[0].set_ylabel("row of R")
    figure.colorbar(image, ax=row, label="mask", shrink=0.8)
    figure.suptitle(title)
    return figure


def method_masks(
    rank: float, alphas: Sequence[float], *, rank_min: int, rank_max: int
) -> tuple[dict[float, Floats], Floats]:
    """Returns the soft mask (r, r) of a rank for each alpha, and its discrete mask.

    Args:
        rank: real-valued, within rank_min ... rank_max.
        alphas: sharpness, above 0.
        rank_min: least rank.
        rank_max: largest rank, and r.
    """
    import torch  # only these two pictures need it

    from lora_sweep.allocation.masks import discrete_masks, soft_masks

    n = len(alphas)
    soft = soft_masks(
        torch.full((n, 1), rank, dtype=torch.float64),
        torch.tensor(alphas, dtype=torch.float64),
        rank_min=torch.full((n,), rank_min),
        rank_max=torch.full((n,), rank_max),
        r=rank_max,
    )
    discrete = discrete_masks(torch.tensor([[round(rank)]]), rank_max)
    return dict(zip(alphas, soft[:, 0].numpy(), strict=True)), discrete[0, 0].double().numpy()
