"""Every picture at its extremes: shows what it was given, cuts nothing, overlaps nothing."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from lora_sweep.report.figures.method import (
    draw_distribution,
    draw_masks,
    draw_profiles,
    method_masks,
)
from lora_sweep.report.figures.ranks import (
    draw_budget,
    draw_first_steps,
    draw_rank_bars,
    draw_rank_lines,
    draw_rank_map,
)
from lora_sweep.report.figures.scores import (
    MOST_CURVES,
    Band,
    baseline_bands,
    draw_comparison,
    draw_curves,
    draw_medians,
    draw_runs,
)
from lora_sweep.report.figures.style import name_group
from lora_sweep.report.table.courses import Course
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.store.record import EpochRecord, RunRecord

RNG = np.random.default_rng(0)
METRIC = "matthews_correlation"
N_SEEDS = [1, 30]
PARTS = ("attention.self.query", "attention.self.value", "attention.output.dense", "output.dense")


def matrices(n: int) -> list[str]:
    return [f"encoder.layer.{i // 4}.{PARTS[i % 4]}" for i in range(n)]


def record(n_matrices: int, n_epochs: int = 3) -> RunRecord:
    epochs = []
    for i in range(1, n_epochs + 1):
        ranks = RNG.uniform(5, 25, n_matrices)
        epochs.append(
            EpochRecord(
                epoch=i,
                step=10 * i,
                train_loss=0.5,
                metrics={METRIC: 0.1 * i},
                alpha=1.0,
                budget_params=9000.0,
                budget_over_cap_params=0.0,
                budget_spent_params=8990,
                ranks=ranks.tolist(),
                integer_ranks=[round(rank) for rank in ranks],
            )
        )
    return RunRecord(
        settings={"init": "quadratic", "seed": 0},
        fingerprint="f",
        model_fingerprint="m",
        corpus_fingerprint="c",
        metric=METRIC,
        matrices=matrices(n_matrices),
        epochs=epochs,
        best_metric=0.1 * n_epochs,
        best_epoch=n_epochs,
        final_metric=0.1 * n_epochs,
        selected_metric=None,
        selected_epoch=None,
        collapsed=False,
        n_trained_params={},
        wall_seconds=1.0,
        device="cpu",
        versions={},
        git_commit=None,
        label_names=[],
    )


def runs(n_inits: int, n_seeds: int, lrs: Sequence[float] = (0.001, 0.01)) -> pd.DataFrame:
    names = ["uniform", "left_skewed", *(f"a_schedule_of_ones_own_{i}" for i in range(8))]
    cells = [(init, lr, None) for init in names[:n_inits] for lr in lrs]
    cells += [("fixed", None, rank) for rank in (20, 25)]
    rows = [
        {"init": init, "lr": lr, "rank.average": rank or 20, "seed": seed}
        for init, lr, rank in cells
        for seed in range(n_seeds)
    ]
    table = pd.DataFrame(rows).assign(
        status="finished",
        metric=METRIC,
        collapsed=False,
        spent_average=20.0,
        n_trained_without_head=400,
    )
    table["folder"] = [f"run{i}" for i in range(len(table))]
    table["reported_metric"] = RNG.uniform(0.3, 0.7, len(table))
    table["final_metric"] = table["reported_metric"]
    table["fingerprint"] = table["folder"]
    return table.astype({"lr": "Float64", "collapsed": "boolean"})


def courses(table: pd.DataFrame, n_epochs: int = 4) -> dict[str, Course]:
    ranks = np.zeros(1)
    return {
        folder: Course(RNG.uniform(0, 0.5, n_epochs), ("a",), ranks, ranks, ranks, folder)
        for folder in table["folder"]
    }


def check_legible(figure: Figure) -> None:
    """All text lies within the picture; no two tick labels or legend lines touch."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    whole = figure.bbox
    for axes in figure.axes:
        assert axes.get_title() or figure.get_suptitle() or axes.get_label() == "<colorbar>"
        shown = [axes.title, axes.xaxis.label, axes.yaxis.label]
        legend = axes.get_legend()
        texts = [] if legend is None else list(legend.get_texts())
        ticks_x, ticks_y = _shown_ticks(axes.xaxis), _shown_ticks(axes.yaxis)
        for text in [*shown, *texts, *ticks_x, *ticks_y]:
            if not text.get_text():
                continue
            box = text.get_window_extent(renderer)
            assert box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1, text.get_text()
            assert box.y0 >= whole.y0 - 1 and box.y1 <= whole.y1 + 1, text.get_text()
        for along in (ticks_x, ticks_y, texts):
            # Slanted labels have boxes that overlap where the letters do not.
            straight = [text for text in along if text.get_rotation() == 0 and text.get_text()]
            boxes = [text.get_window_extent(renderer) for text in straight]
            for i, box in enumerate(boxes):
                assert not any(_overlap(box, other) for other in boxes[i + 1 :]), straight[
                    i
                ].get_text()
    plots = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    boxes = [axes.get_tightbbox(renderer) for axes in plots] if len(plots) > 1 else []
    for i, box in enumerate(boxes):
        assert box is not None
        assert not any(other is not None and _overlap(box, other) for other in boxes[i + 1 :])


def _shown_ticks(axis: Any) -> list[Any]:
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    labels = [label for tick in ticks for label in (tick.label1, tick.label2)]
    return [label for label in labels if label.get_visible()]


def _overlap(a: Any, b: Any) -> bool:
    return bool(min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1)


def bars(axes: Axes) -> list[float]:
    return [
        patch.get_height()
        for container in axes.containers
        if isinstance(container, BarContainer)
        for patch in container.patches
    ]


@pytest.mark.parametrize("n_seeds", N_SEEDS)
def test_bars_of_runs(n_seeds: int) -> None:
    table = runs(2, n_seeds, lrs=(0.001, 0.002, 0.005, 0.01, 0.02))
    figure = draw_runs(table, "uniform", baseline_bands(summarise_runs(table)), METRIC)
    own = 100 * table.loc[table["init"] == "uniform", "reported_metric"]
    assert sorted(bars(figure.axes[0])) == pytest.approx(sorted(own))
    places = {
        round(patch.get_x() + 0.4): patch.get_height()
        for container in figure.axes[0].containers
        for patch in container.patches
    }
    heights = [places[i] for i in range(len(own))]
    assert heights == sorted(heights, reverse=True)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert {"fixed, rank 20", "fixed, rank 25", "LR 0.001", "LR 0.02"} <= set(labels)
    low, high = figure.axes[0].get_ylim()
    assert low == 0 and own.max() < high < 100
    check_legible(figure)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [((0.66, 0.68), 0, 68), ((-0.2, 0.3), -20, 30), ((-0.3, -0.1), -30, 0), ((0.0, 0.0), 0, 0)],
)
def test_bars_start_at_0(values: tuple[float, ...], low: float, high: float) -> None:
    table = runs(1, 2)
    own = (table["init"] == "uniform").to_numpy(bool)
    table = table[own].assign(reported_metric=np.resize(values, own.sum()))
    bottom, top = draw_runs(table, "uniform", [], METRIC).axes[0].get_ylim()
    assert bottom <= low <= 0 <= high <= top
    assert bottom == 0 or low < 0
    assert top == 0 if low < 0 == high else top > 0  # of zeros alone, too: else it has no height


def test_one_seed_has_no_error_bar() -> None:
    axes = draw_comparison(summarise_runs(runs(1, 1)), [], METRIC).axes[0]
    assert [len(container.lines[2]) for container in axes.containers] == [0]
    axes = draw_comparison(summarise_runs(runs(1, 3)), [], METRIC).axes[0]
    assert [len(container.lines[2]) for container in axes.containers] == [1]


@pytest.mark.parametrize(("n_inits", "n_seeds"), [(1, 1), (10, 1), (10, 30)])
def test_comparison_has_a_point_an_init(n_inits: int, n_seeds: int) -> None:
    table = runs(n_inits, n_seeds)
    summary = summarise_runs(table)
    figure = draw_comparison(summary, baseline_bands(summary), METRIC)
    axes = figure.axes[0]
    points = [container.lines[0].get_ydata()[0] for container in axes.containers]
    best = summary[summary["init"] != "fixed"].groupby("init", sort=False)["median"].max()
    assert points == pytest.approx((100 * best).tolist())
    check_legible(figure)


def pixels_of(figure: Figure) -> Callable[[float, float], Any]:
    """Place in the first axes' data -> the colour that is seen there."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1] / 255

    def at(x: float, y: float) -> Any:
        column, row = figure.axes[0].transData.transform((x, y)).astype(int)
        return pixels[row, column, :3]

    return at


def test_bands_leave_bars_the_colours_of_the_legend() -> None:
    table = runs(1, 2).assign(reported_metric=0.6)
    figure = draw_runs(table, "uniform", [Band("fixed", 50.0, 5.0)], METRIC)
    colour_at = pixels_of(figure)
    for container in figure.axes[0].containers:
        for bar in container.patches:
            seen = colour_at(bar.get_x() + bar.get_width() / 2, 52.0)
            assert seen == pytest.approx(bar.get_facecolor()[:3], abs=0.01)
    handles, _ = figure.axes[0].get_legend_handles_labels()
    assert figure.axes[0].containers == [h for h in handles if isinstance(h, BarContainer)]
    assert colour_at(0.5, 52.0) != pytest.approx((1, 1, 1), abs=0.01)  # between two bars


def test_baselines_leave_error_bars_their_colour() -> None:
    table = runs(3, 2)
    table["reported_metric"] = 0.55 + 0.1 * table["seed"]  # 60 ± 7
    figure = draw_comparison(summarise_runs(table), [Band("fixed", 63.0, 8.0)], METRIC)
    colour_at = pixels_of(figure)
    for place, container in enumerate(figure.axes[0].containers):
        (bars,) = container.lines[2]
        (own,) = bars.get_colors()
        assert colour_at(place, 63.0) == pytest.approx(own[:3], abs=0.01)
    assert colour_at(0.5, 62.0) != pytest.approx((1, 1, 1), abs=0.01)  # between two points


@pytest.mark.parametrize("n_inits", [1, 10])
def test_medians_are_written_in_their_fields(n_inits: int) -> None:
    summary = summarise_runs(runs(n_inits, 2, lrs=(0.001, 0.002, 0.005, 0.01, 0.02)))
    figure = draw_medians(summary, METRIC)
    assert figure is not None
    learnt = summary[summary["init"] != "fixed"]
    written = sorted(text.get_text() for text in figure.axes[0].texts)
    assert written == sorted(f"{100 * median:.1f}" for median in learnt["median"])
    check_legible(figure)


def test_medians_of_baselines_alone_are_no_picture() -> None:
    assert draw_medians(summarise_runs(runs(0, 2)), METRIC) is None


@pytest.mark.parametrize("n_seeds", N_SEEDS)
def test_curves_have_a_line_a_seed_and_a_mean_a_cell(n_seeds: int) -> None:
    table = runs(2, n_seeds)
    figure = draw_curves(summarise_runs(table), courses(table), "uniform", METRIC)
    assert figure is not None
    lines = figure.axes[0].get_lines()
    assert len(lines) == 2 * n_seeds + 2
    assert len(figure.axes[0].collections) == (2 if n_seeds > 1 else 0)  # bands
    check_legible(figure)


def test_curves_of_one_rate_say_what_differs() -> None:
    table = pd.concat([runs(1, 2, lrs=(0.01,)).assign(**{"rank.max": r}) for r in (25, 30)])
    table["folder"] = [f"run{i}" for i in range(len(table))]
    figure = draw_curves(summarise_runs(table), courses(table), "uniform", METRIC)
    assert figure is not None
    said = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert said == {"LR 0.01, rank.max=25", "LR 0.01, rank.max=30"}


@pytest.mark.parametrize("n", [2, 5])
def test_bars_are_named_by_what_their_cells_differ_in(n: int) -> None:
    table = pd.concat([runs(1, 2).assign(**{"rank.max": 20 + i}) for i in range(n)])
    figure = draw_runs(table, "uniform", [], METRIC)
    said = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    sizes = [f", rank.max={20 + i}" for i in range(n)] if n == 2 else [""]  # 10 are too many
    assert sorted(said) == sorted(f"LR {lr}{size}" for lr in (0.001, 0.01) for size in sizes)
    check_legible(figure)


def test_points_and_bands_are_named_by_what_cells_differ_in() -> None:
    table = pd.concat([runs(2, 2).assign(**{"rank.max": high}) for high in (25, 30)])
    summary = summarise_runs(table)
    bands = baseline_bands(summary)
    assert sorted(band.name for band in bands) == [
        f"fixed, rank {average}, rank.max={high}" for average in (20, 25) for high in (25, 30)
    ]
    figure = draw_comparison(summary, bands, METRIC)
    for label in figure.axes[0].get_xticklabels():
        assert re.fullmatch(r".*\nLR 0\.0\d+\nrank\.max=\d\d", label.get_text())
    check_legible(figure)


def test_medians_say_that_cells_share_a_field() -> None:
    table = pd.concat([runs(1, 2).assign(**{"rank.max": high}) for high in (25, 30)])
    for cells, is_said in ((table, True), (runs(1, 2), False)):
        figure = draw_medians(summarise_runs(cells), METRIC)
        assert figure is not None
        assert ("the best where cells share a field" in figure.axes[0].get_title()) == is_said
        check_legible(figure)


@pytest.mark.parametrize(
    "name", ["training.batch_size=16", "reviews, " + "data.n_train=2000, " * 9]
)
def test_group_is_named_above_a_picture(name: str) -> None:
    table = runs(1, 2)
    figure = draw_runs(table, "uniform", [], METRIC)
    masks, discrete = method_masks(5.3, [0.5, 3.0], rank_min=1, rank_max=9)
    for one in (figure, draw_masks(masks, discrete, "Masks over R")):
        name_group(one, name)
        assert name.rsplit(maxsplit=1)[-1] in one.get_suptitle()
        check_legible(one)


def test_curves_show_the_best_cells_of_many() -> None:
    table = runs(1, 2, lrs=[0.001 * i for i in range(1, 31)])
    figure = draw_curves(summarise_runs(table), courses(table, 1), "uniform", METRIC)
    assert figure is not None
    assert len(figure.axes[0].get_lines()) == 3 * MOST_CURVES
    assert f"best {MOST_CURVES} of 30 cells" in figure.axes[0].get_title()
    check_legible(figure)


@pytest.mark.parametrize("n_matrices", [1, 24, 200])
def test_rank_pictures(n_matrices: int) -> None:
    one = record(n_matrices, n_epochs=50)
    by_bar = draw_rank_bars(one, "Quadratic: ranks of the best run at epoch 50")
    assert sorted(bars(by_bar.axes[0])) == sorted(one.epochs[-1].integer_ranks)
    by_line = draw_rank_lines(one, "Quadratic: ranks of the best run at epoch 50, by component")
    drawn = [y for line in by_line.axes[0].get_lines() for y in line.get_ydata()]
    assert sorted(drawn) == sorted(one.epochs[-1].integer_ranks)
    field = draw_rank_map(one, "Ranks of the best run (Quadratic) over the epochs")
    values = field.axes[0].collections[0].get_array()
    assert values is not None and values.shape == (n_matrices, 50)
    for figure in (by_bar, by_line, field, draw_budget(one, "Rank budget")):
        check_legible(figure)


@pytest.mark.parametrize(("n_matrices", "n_steps"), [(1, 2), (2, 900), (12, 2), (200, 900)])
def test_first_steps_have_a_line_a_matrix(n_matrices: int, n_steps: int) -> None:
    steps = [(10 * i, RNG.uniform(5, 25, n_matrices).tolist()) for i in range(n_steps)]
    figure = draw_first_steps(steps, "Ranks of the best run (Left skewed) over the first steps")
    assert sum(len(axes.get_lines()) for axes in figure.axes) == n_matrices
    assert len(figure.axes) == min(3, n_matrices)
    check_legible(figure)


@pytest.mark.parametrize(("n_matrices", "n_inits"), [(1, 1), (12, 10), (200, 1), (200, 10)])
def test_profiles_have_a_line_an_init(n_matrices: int, n_inits: int) -> None:
    starts = {f"schedule_{i}": RNG.uniform(5, 25, n_matrices).tolist() for i in range(n_inits)}
    figure = draw_profiles(starts, "Ranks that each init starts with")
    lines = figure.axes[0].get_lines()
    assert [line.get_ydata().tolist() for line in lines] == list(starts.values())
    check_legible(figure)


@pytest.mark.parametrize(("rank_min", "rank_max"), [(1, 2), (5, 50)])
def test_method_pictures_show_the_formula(rank_min: int, rank_max: int) -> None:
    rank = rank_min + 0.3
    masks, discrete = method_masks(rank, [0.5, 3.0], rank_min=rank_min, rank_max=rank_max)
    figure = draw_distribution(masks, rank, "Distribution p(k)")
    for line, alpha in zip(figure.axes[0].get_lines(), (0.5, 3.0), strict=False):
        k = np.arange(rank_min, rank_max + 1)
        weights = (1 + (rank - k) ** 2) ** -alpha
        p = np.concatenate([np.zeros(rank_min - 1), weights / weights.sum()])
        assert line.get_ydata() == pytest.approx(p)
    assert discrete.sum() == rank_min**2
    check_legible(figure)
    images = draw_masks(masks, discrete, "Masks over R")
    assert len([axes for axes in images.axes if axes.images]) == 3
    check_legible(images)


def test_lines_differ_without_colour() -> None:
    styles = [
        (line.get_linestyle(), line.get_marker())
        for line in draw_rank_lines(record(24), "title").axes[0].get_lines()
    ]
    assert len(set(styles)) == len(styles)
    bars_of = draw_rank_bars(record(24), "title").axes[0].containers
    hatches = [container.patches[0].get_hatch() for container in bars_of]
    assert len(set(hatches)) == len(hatches)


def test_graded_colours_rise_in_lightness() -> None:
    figure = draw_runs(runs(1, 3, lrs=(0.1, 0.2, 0.3, 0.4)), "uniform", [], METRIC)
    colours = [c.patches[0].get_facecolor()[:3] for c in figure.axes[0].containers]
    lightness = [float(np.dot(colour, (0.299, 0.587, 0.114))) for colour in colours]
    assert all(after - before > 0.1 for before, after in pairwise(lightness))


def test_ranks_are_those_of_the_reported_epoch() -> None:
    one = dataclasses.replace(record(4), selected_epoch=1, selected_metric=0.1)
    heights = bars(draw_rank_bars(one, "title").axes[0])
    assert sorted(heights) == sorted(one.epochs[0].integer_ranks)
