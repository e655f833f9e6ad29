"""The method, a picture a step: `python examples/method_in_pictures.py`.

Draws into docs/method_pictures/ what docs/method.md shows: the embedded model's own matrices, and
a small real training on the embedded sentences. Nothing is downloaded.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from corpus import load
from judge import Judge
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import set_seed

from lora_sweep import AdapterPlan, LoRAXSAdapter, adapt, parameter_groups
from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.inject import STUDY_SUFFIXES, adapted_names
from lora_sweep.allocation.alpha_schedules import ALPHA_SCHEDULES, alpha_at
from lora_sweep.allocation.budget_schedules import ramp
from lora_sweep.allocation.init_schedules import InitInputs, starting_logits
from lora_sweep.allocation.ranks import capped_ranks, published_ranks
from lora_sweep.models.base import find_base, load_encoder
from lora_sweep.report.figures.method import draw_distribution, draw_masks, method_masks
from lora_sweep.report.figures.style import (
    graded_colours,
    legend_beside,
    line_look,
    named_colours,
    new_figure,
    number_ticks,
)
from lora_sweep.report.table.components import component_groups

FOLDER = Path(__file__).parent.parent / "docs" / "method_pictures"
LOW, AVERAGE, HIGH = 5, 20, 25
INITS = ("uniform", "quadratic", "left_skewed", "linear", "spectral")
CPU = torch.device("cpu")


def main() -> None:
    """Draws all pictures, or those that need no training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--n-train", type=int, default=1000, help="sentences of the training")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the training")
    sizes = parser.parse_args()
    sizes.folder.mkdir(parents=True, exist_ok=True)
    for name, figure in _pictures(sizes.n_train, sizes.epochs):
        figure.savefig(sizes.folder / f"{name}.png", dpi=110)
        print(sizes.folder / f"{name}.png")


def _pictures(n_train: int, n_epochs: int) -> Iterator[tuple[str, Figure]]:
    weights = _weights()
    name = next(name for name in weights if name.endswith("layer.3.attention.self.query"))
    yield "1_factors", draw_factors(weights[name], name)
    spectra = torch.stack([torch.linalg.svdvals(weight)[:HIGH] for weight in weights.values()])
    yield "2_ranks", draw_ranks(spectra)
    yield "3_cap", draw_cap(len(weights))
    alphas = (0.5, 1.0, 2.0, 3.0)
    masks, discrete = method_masks(20.3, alphas, rank_min=LOW, rank_max=HIGH)
    title = "Where a matrix with rank 20.3 ends: p(k)"
    yield "4_distribution", draw_distribution(masks, 20.3, title)
    yield "5_masks", draw_masks(masks, discrete, "Its mask over R")
    yield "6_alpha", draw_alpha()
    yield "7_budget", draw_budgets(len(weights))
    names, courses, integer = train(n_train, n_epochs)
    n_soft = (len(courses) - 1) * (n_epochs - 1) // n_epochs
    yield "8_training", draw_courses(names, courses, n_soft)
    yield "9_learnt", draw_learnt(names, integer)


def _weights() -> dict[str, Tensor]:
    """The embedded model's adapted matrices, name -> W, in module order."""
    encoder = load_encoder(find_base("minilm", None), dropout=None, attention=None, device=CPU)
    names = adapted_names(encoder, STUDY_SUFFIXES)
    return {name: encoder.get_parameter(f"{name}.weight").detach() for name in names}


def draw_factors(weight: Tensor, name: str) -> Figure:
    """Returns one matrix's singular values, and what is left of it at each rank."""
    A, B = svd_factors(weight, HIGH)
    values = torch.linalg.svdvals(weight)
    left = 1 - values.square().cumsum(0) / values.square().sum()
    figure = new_figure(10.0, 3.6)
    spectrum, error = figure.subplots(1, 2)
    places = np.arange(1, len(values) + 1)
    spectrum.semilogy(places, values, color="0.6", label="of W")
    kept = torch.linalg.vector_norm(A, dim=1)
    spectrum.semilogy(places[:HIGH], kept, ".", label=f"in A ({HIGH} × {A.shape[1]})")
    spectrum.set(title=name, xlabel="k", ylabel="singular value")
    spectrum.legend(frameon=False)
    error.plot(places, left.clamp(min=0).sqrt(), color="0.4")
    for rank in (LOW, AVERAGE, HIGH):
        rest = torch.linalg.norm(weight - B[:, :rank] @ A[:rank]) / torch.linalg.norm(weight)
        error.plot(rank, rest, "o", label=f"r = {rank}")
    error.set(title="what the leading r leave of W", xlabel="r", ylabel="‖W − B A‖ / ‖W‖", ylim=0)
    error.legend(frameon=False)
    return figure


def draw_ranks(spectra: Tensor) -> Figure:
    """Returns the starting logits of some inits, and the ranks they give at one budget."""
    figure = new_figure(9.0, 6.0)
    above, below = figure.subplots(2, 1, sharex=True)
    colours = named_colours(INITS)
    for place, init in enumerate(INITS):
        logits = starting_logits(init, InitInputs(spectra, torch.Generator().manual_seed(0)))
        look = {"color": colours[init], **line_look(place), "markersize": 4}
        above.plot(logits, label=init, **look)
        below.plot(_capped(logits), label=init, **look)
    above.set(title="logits w", ylabel="w")
    title = f"ranks at M_p = N · {AVERAGE}²"
    below.set(title=title, xlabel="adapted matrix, in module order", ylabel="rank", ylim=(3, 27))
    number_ticks(below, len(spectra))
    _range_lines(below)
    legend_beside(below)
    return figure


def draw_cap(n_matrices: int) -> Figure:
    """Returns steep logits' ranks with and without the cap at rank_max."""
    logits = torch.linspace(-1.5, 1.5, n_matrices, dtype=torch.float64)
    budget = n_matrices * AVERAGE**2
    published = published_ranks(logits[None], _one(budget), _one(LOW))[0]
    wasted = float((published**2 - HIGH**2).clamp(min=0).sum() / budget)
    figure = new_figure(9.5, 3.6)
    axes = figure.add_subplot()
    axes.plot(published, "s--", color="0.5", label=f"published: {wasted:.0%} over the cap")
    axes.plot(_capped(logits), "o-", label="capped: given to the others")
    axes.set(title="Logits from −1.5 to 1.5", xlabel="adapted matrix", ylabel="rank")
    _range_lines(axes)
    number_ticks(axes, n_matrices)
    legend_beside(axes)
    return figure


def _capped(logits: Tensor) -> Tensor:
    """Ranks (N,) of logits (N,) at the average's budget."""
    budget = _one(len(logits) * AVERAGE**2)
    return capped_ranks(logits[None], budget, _one(LOW), _one(HIGH))[0]


def _one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def draw_alpha(n_steps: int = 100) -> Figure:
    """Returns alpha's schedules, and how much of each shell the mask keeps along one of them."""
    figure = new_figure(11.0, 3.8)
    schedule, shells = figure.subplots(1, 2)
    steps = range(n_steps + 1)
    for place, name in enumerate(ALPHA_SCHEDULES):
        course = [alpha_at(name, step, n_steps, alpha_min=0.5, alpha_max=3.0) for step in steps]
        schedule.plot(steps, course, linestyle=line_look(place)["linestyle"], label=name)
    schedule.set(title="alpha", xlabel="% of the steps", ylabel="alpha")
    schedule.legend(frameon=False)
    at = [alpha_at("linear", step, 4, alpha_min=0.5, alpha_max=3.0) for step in range(5)]
    masks, discrete = method_masks(20.3, at, rank_min=LOW, rank_max=HIGH)
    for colour, (alpha, mask) in zip(graded_colours(len(at)), masks.items(), strict=True):
        shells.plot(
            np.arange(1, HIGH + 1), np.diag(mask), color=colour, label=f"alpha {alpha:.3g}"
        )
    shells.step(np.arange(1, HIGH + 1), np.diag(discrete), "k:", where="mid", label="discrete")
    shells.set(title="what a mask of rank 20.3 keeps", xlabel="row and column of R", ylabel="kept")
    legend_beside(shells)
    return figure


def draw_budgets(n_matrices: int, n_epochs: int = 10) -> Figure:
    """Returns three budgets over the epochs, in entries of R and as the average rank."""
    figure = new_figure(8.0, 3.6)
    axes = figure.add_subplot()
    epochs = np.linspace(0, n_epochs, 201)
    ramps = {"constant": (20, 20), "grow": (5, 20), "shrink": (25, 20)}
    for place, (name, averages) in enumerate(ramps.items()):
        start, end = (n_matrices * average**2 for average in averages)
        course = [ramp(epoch, start=start, end=end, n_hold=2, n_move=5) for epoch in epochs]
        axes.plot(epochs, course, linestyle=line_look(place)["linestyle"], label=name)
    title = f"Rank budget of {n_matrices} matrices: held 2 epochs, moved in 5"
    axes.set(title=title, xlabel="epoch", ylabel="M_p: entries of R", ylim=0)
    right = axes.secondary_yaxis(
        "right", functions=(lambda m: np.sqrt(np.maximum(m, 0) / n_matrices),
                            lambda r: n_matrices * r**2),
    )  # fmt: skip
    right.set(ylabel="average rank", yticks=(5, 10, 15, 20, 25))
    axes.legend(frameon=False, loc="lower right")
    return figure


def train(n_train: int, n_epochs: int) -> tuple[list[str], Tensor, list[int]]:
    """Trains a model; returns its matrices (N), ranks (steps + 1, N) and last integer ranks."""
    set_seed(0)
    base, rows, _, collate = load(n_train, 20)
    loader = DataLoader(rows, batch_size=16, shuffle=True, collate_fn=collate)
    model = Judge(base)
    adapter: LoRAXSAdapter = adapt(model, AdapterPlan(LOW, HIGH, AVERAGE, init="quadratic"))
    adapter.schedule(steps_per_epoch=len(loader), n_epochs=n_epochs)
    groups = parameter_groups(model, lr=1e-2, lr_logits=5e-2, lr_head=3e-3)
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    model.train()
    courses = [list(adapter.ranks().values())]
    for _ in range(n_epochs):
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            adapter.advance()
            courses.append(list(adapter.ranks().values()))
    return list(adapter.names), torch.tensor(courses), list(adapter.integer_ranks().values())


def draw_courses(names: list[str], courses: Tensor, n_soft: int) -> Figure:
    """Returns every matrix's rank over the steps, a panel a component; grey is discrete."""
    groups = component_groups(names)
    figure = new_figure(12.0, 3.6)
    panels = figure.subplots(1, len(groups), sharey=True)
    for axes, (component, own) in zip(panels, groups.items(), strict=True):
        for layer, (colour, i) in enumerate(zip(graded_colours(len(own)), own, strict=True)):
            axes.plot(courses[:, i], color=colour, label=f"layer {layer}")
        axes.axvspan(n_soft, len(courses) - 1, color="0.9", label="discrete")
        axes.set(title=component, xlabel="step")
    panels[0].set_ylabel("rank")
    legend_beside(panels[-1])
    return figure


def draw_learnt(names: list[str], integer: list[int]) -> Figure:
    """Returns the ranks that the training ended with, and what they spend."""
    figure = new_figure(9.0, 3.6)
    axes = figure.add_subplot()
    colours = named_colours(list(component_groups(names)))
    for component, own in component_groups(names).items():
        axes.bar(own, [integer[i] for i in own], color=colours[component], label=component)
    spent, budget = sum(rank * rank for rank in integer), len(names) * AVERAGE**2
    title = f"Ranks at the end: {spent} of {budget} entries"
    axes.set(title=title, xlabel="adapted matrix", ylabel="integer rank")
    number_ticks(axes, len(names))
    _range_lines(axes)
    legend_beside(axes)
    return figure


def _range_lines(axes: Axes) -> None:
    """Marks the rank range on an axis of ranks; to be called last."""
    names = {LOW: f"rank_min {LOW}", AVERAGE: f"rank_average {AVERAGE}", HIGH: f"rank_max {HIGH}"}
    for rank in names:
        axes.axhline(rank, color="0.6", linestyle=":", linewidth=1)
    ticks = range(LOW, round(axes.get_ylim()[1]) + 1, 5)
    axes.set_yticks(list(ticks), [names.get(rank, str(rank)) for rank in ticks])


if __name__ == "__main__":
    main()
