"""Kinds of adapters in a report: arms with rates of their own, and what each of them trains."""

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from records import epoch_record

from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.figures.parameters import draw_parameters, has_counts
from lora_sweep.report.figures.scores import baseline_bands, draw_comparison
from lora_sweep.report.figures.write import write_figures
from lora_sweep.report.pages.answer import answer_lines
from lora_sweep.report.pages.cells import TRAINED, cells_table
from lora_sweep.report.pages.run_pages import run_pages
from lora_sweep.report.table.cell_names import cell_names
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.table.sweep import read_sweep_folder

RATES = (0.003, 0.01)
N_TRAINED = {"lora_xs": 400, "lora": 390, "head_only": 0}
OF_HEAD_ONLY = ("rank.", "model.adapted", "learning_rate.adapter")


def _settings(settings: Any, kind: str, seed: int, rate: float) -> dict[str, Any]:
    """Settings of a run with fixed ranks, as the runs of each kind have them."""
    own: dict[str, Any] = settings(init="fixed", seed=seed, learning_rate__adapter=rate)
    own["learning_rate.head"] = 0.01
    if kind == "lora":
        own |= {"adapter.kind": kind, "adapter.rslora": False, "model.adapted": ["query"]}
    if kind == "head_only":
        own |= {"adapter.kind": kind, "learning_rate.head": rate}
        own = {name: None if name.startswith(OF_HEAD_ONLY) else v for name, v in own.items()}
        del own["model.adapted"]
    return own


def _fill(sweep: Any, settings: Any, *kinds: str) -> None:
    """Three seeds of each kind at two rates; the higher rate is better, and LoRA best."""
    for kind in kinds:
        for seed in range(3):
            for place, rate in enumerate(RATES):
                metric = 0.4 + 0.1 * (kind == "lora") + 0.2 * place + 0.01 * seed
                counts = {"adapter": N_TRAINED[kind], "head": 7, "total": N_TRAINED[kind] + 7}
                fields: dict[str, Any] = {"n_trained_params": counts}
                own = _settings(settings, kind, seed, rate)
                sweep.finish(f"{kind}-{place}-{seed}", metric, own, **fields)


def test_each_kind_is_one_arm_with_rates_of_its_own(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "lora_xs", "lora", "head_only")
    (comparison,) = compare_inits(collect_runs(sweep.path))  # one group, whatever the rates
    lines = {(line.init, line.baseline): line for line in comparison.lines}
    assert {pair: line.n_settings for pair, line in lines.items()} == {
        ("head only", "LoRA, rank 20"): 2,
        ("head only", "fixed, rank 20"): 2,
        ("LoRA, rank 20", "fixed, rank 20"): 2,
    }
    # The third seed stands with the better rate, in all arms: 80 points against 70 and 70.
    assert lines["LoRA, rank 20", "fixed, rank 20"].paired.differences == pytest.approx(
        (10, 10, 10)
    )
    assert lines["head only", "LoRA, rank 20"].paired.differences == pytest.approx((-10, -10, -10))
    assert lines["head only", "fixed, rank 20"].paired.differences == pytest.approx((0, 0, 0))


def test_fixed_lora_is_what_learnt_lora_is_held_against(sweep: Any, settings: Any) -> None:
    for seed in range(3):
        fixed = _settings(settings, "lora", seed, 0.01)
        sweep.finish(f"lora-{seed}", 0.4 + 0.1 * seed, fixed)
        sweep.finish(f"lora-uniform-{seed}", 0.45 + 0.1 * seed, fixed | {"init": "uniform"})
    read = read_sweep_folder(sweep.path)
    (comparison,) = compare_inits(read.runs)
    (line,) = comparison.lines
    assert (line.init, line.baseline) == ("uniform, LoRA", "LoRA, rank 20")
    assert line.paired.differences == pytest.approx((5, 5, 5))
    said = " ".join(answer_lines(read.runs, [comparison]))
    assert "no run has fixed ranks" not in said


def test_sweep_of_fixed_lora_alone_compares_nothing(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "lora")
    assert [line for one in compare_inits(collect_runs(sweep.path)) for line in one.lines] == []


def test_rates_part_groups_where_there_is_one_kind(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "lora_xs")
    for seed in range(3):
        own = settings(seed=seed, learning_rate__adapter=RATES[0], learning_rate__head=0.01)
        sweep.finish(f"uniform-{seed}", 0.5, own)
    lines = [line for one in compare_inits(collect_runs(sweep.path)) for line in one.lines]
    assert [(line.init, line.baseline, line.n_settings) for line in lines] == [
        ("uniform", "fixed, rank 20", 1)
    ]


def test_table_has_the_trained_parameters(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "lora_xs", "lora", "head_only")
    summary = summarise_runs(collect_runs(sweep.path))
    table = cells_table(summary)
    place = table.columns.index(TRAINED)
    found = {(row[0], row[place]) for row in table.rows}
    assert found == {("LoRA", 390), ("Head only", 0), ("Fixed", 400)}
    assert not [name for name in table.columns if name.startswith("adapter.")]  # init says it
    assert cell_names(summary)[0].startswith("LoRA, rank 20, learning_rate.")


def test_sweep_of_lora_xs_has_no_such_column(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "lora_xs")
    summary = summarise_runs(collect_runs(sweep.path))
    assert TRAINED not in cells_table(summary).columns
    assert not has_counts(summary)


def test_picture_has_a_point_for_each_cell(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "lora_xs", "lora", "head_only")
    axes = draw_parameters(summarise_runs(collect_runs(sweep.path)), "MCC").axes[0]
    found = {
        str(line.get_label()): sorted(zip(*line[0].get_data(), strict=True))
        for line in axes.containers
    }
    # Medians of three seeds: the second one's, in percent.
    assert found["LoRA"] == [(390, pytest.approx(51)), (390, pytest.approx(71))]
    assert found["Head only"] == [(0, pytest.approx(41)), (0, pytest.approx(61))]
    assert found["Fixed"] == [(400, pytest.approx(41)), (400, pytest.approx(61))]


def test_labels_of_the_comparison_do_not_overlap(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "lora_xs", "lora", "head_only")  # `learning_rate.adapter=0.01`
    for seed in range(3):
        for rate in RATES:
            own = _settings(settings, "lora_xs", seed, rate) | {"init": "uniform"}
            sweep.finish(f"uniform-{rate}-{seed}", 0.5, own)
    summary = summarise_runs(collect_runs(sweep.path))
    figure = draw_comparison(summary, baseline_bands(summary), "MCC")
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) == 3
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_equal_metrics_have_no_scale_of_rounding_errors(sweep: Any, settings: Any) -> None:
    for seed in range(3):
        for init in ("uniform", "fixed"):
            sweep.finish(f"{init}-{seed}", 0.0, settings(seed=seed, init=init))
    summary = summarise_runs(collect_runs(sweep.path))
    low, high = draw_comparison(summary, baseline_bands(summary), "MCC").axes[0].get_ylim()
    assert high - low > 0.01


def test_pictures_of_ranks_are_of_learnt_ones_alone(
    sweep: Any, settings: Any, unrendered: None
) -> None:
    _fill(sweep, settings, "lora", "head_only")
    names = {picture.name for picture in write_figures(read_sweep_folder(sweep.path))}
    assert "parameters" in names
    assert not [name for name in names if name.endswith(("_ranks", "_layers", "rank_map"))]


def test_page_of_a_run_without_matrices_has_no_ranks(sweep: Any, settings: Any) -> None:
    own = _settings(settings, "head_only", 0, 0.01)
    metrics = {"matthews_correlation": 0.5}
    epoch = dataclasses.replace(epoch_record(1, metrics), ranks=[], integer_ranks=[])
    sweep.finish("head_only-0", 0.5, own, matrices=[], epochs=[epoch])
    (page,) = run_pages(read_sweep_folder(sweep.path))
    assert len(page.charts) == 2
