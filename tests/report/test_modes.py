"""Options to allocate in a report: each an arm with rows of its own, none mixed in a cell."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep import results
from lora_sweep.errors import SettingError
from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.compare.observation import observation_section
from lora_sweep.report.figures.write import write_figures
from lora_sweep.report.pages.cells import cells_table
from lora_sweep.report.pages.rank_curves import rank_curves_section
from lora_sweep.report.table.arms import init_grid
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.rank_curves import rank_curves
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.report.write import Forms, find, write_report
from lora_sweep.store.epochs import EpochRecord

LOGITS_ONLY = ("lr", "training.epochs_discrete", "alpha.", "budget.", "allocation.tau")


def _by_importance(settings: Any, seed: int) -> dict[str, Any]:
    """Settings of a run without logits."""
    own = settings(init="importance", seed=seed, allocation__mode="importance")
    own |= {"allocation.every": 10, "allocation.beta1": 0.85}
    return {name: None if name.startswith(LOGITS_ONLY) else v for name, v in own.items()}


def _fill(sweep: Any, settings: Any, *modes: str) -> None:
    """Two seeds of each mode, of randn in the first one, of cut and of fixed ranks."""
    for seed in (0, 1):
        for mode in modes:
            own = settings(seed=seed, allocation__mode=mode)
            sweep.finish(f"uniform-{mode}-{seed}", 0.6 + 0.01 * seed, own)
        own = settings(init="randn", seed=seed, allocation__mode=modes[0])
        sweep.finish(f"randn-{seed}", 0.5 + 0.02 * seed, own)
        sweep.finish(f"importance-{seed}", 0.7 + 0.03 * seed, _by_importance(settings, seed))
        sweep.finish(f"fixed-{seed}", 0.4, settings(init="fixed", seed=seed))


def test_every_mode_is_an_arm(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "capped", "soft_topk")
    (comparison,) = compare_inits(collect_runs(sweep.path))
    assert [line.init for line in comparison.lines] == [
        *("uniform, capped", "uniform, soft_topk", "randn, capped", "importance")
    ]
    importance = comparison.lines[-1]
    assert importance.n_settings == 1
    assert importance.paired.differences == pytest.approx((30, 33))


def test_one_mode_leaves_the_inits_their_names(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "published")
    inits = list(dict.fromkeys(summarise_runs(collect_runs(sweep.path))["init"]))
    assert inits == ["uniform", "randn", "importance", "fixed"]


def test_every_mode_has_rows_of_its_own(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "capped", "soft_topk")
    table = cells_table(summarise_runs(collect_runs(sweep.path)))
    inits = ["Uniform, capped", "Uniform, soft_topk", "Randn, capped", "Importance", "Fixed"]
    assert [row[0] for row in table.rows] == inits
    assert table.columns[-1] == "allocation.mode"


def test_init_effect_is_asked_within_one_mode(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "capped", "soft_topk")
    inits, grid = init_grid(collect_runs(sweep.path))
    assert inits == ["uniform, capped", "randn, capped"]
    assert grid.tolist() == [[pytest.approx([60, 61])], [pytest.approx([50, 52])]]


def _calibrate(sweep: Any, settings: Any) -> None:
    """Two seeds of ranks from the data: where logits start, and frozen."""
    for seed in (0, 1):
        own = settings(init="gora", seed=seed) | {"init.batches": 8}
        sweep.finish(f"gora-{seed}", 0.5 + 0.02 * seed, own)
        learnt = [name for name in own if name.startswith(LOGITS_ONLY)]
        frozen = own | dict.fromkeys(learnt) | {"init": "gora-frozen", "allocation.mode": None}
        sweep.finish(f"gora-frozen-{seed}", 0.45, frozen)


def test_ranks_from_the_data_are_arms(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "capped", "soft_topk")
    _calibrate(sweep, settings)
    (comparison,) = compare_inits(collect_runs(sweep.path))
    arms = {line.init: line for line in comparison.lines}
    assert {"gora, capped", "gora-frozen"} <= set(arms)
    assert arms["gora-frozen"].paired.differences == pytest.approx((5, 5))


def test_init_effect_is_asked_of_ranks_from_the_data_too(sweep: Any, settings: Any) -> None:
    """Their number of batches is no axis that the other inits lack."""
    _fill(sweep, settings, "capped")
    _calibrate(sweep, settings)
    inits, grid = init_grid(collect_runs(sweep.path))
    assert inits == ["uniform", "randn", "gora"]
    assert grid[2].tolist() == [pytest.approx([50, 52])]


@pytest.mark.usefixtures("unrendered")
def test_pictures_are_drawn_for_every_mode(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "capped", "published")
    found = read_sweep_folder(sweep.path)
    names = {picture.name for picture in write_figures(found)}
    assert {"importance_runs", "comparison", "medians"} <= names
    assert Path(sweep.path, "figures", "importance_runs.png").exists()
    assert observation_section(found.runs, found.courses) == []  # no run's start is known


@pytest.mark.usefixtures("unrendered")
def test_pictures_of_one_mode_hold_cut_runs(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "capped")
    names = {picture.name for picture in write_figures(read_sweep_folder(sweep.path))}
    assert {"importance_runs", "comparison", "medians"} <= names


@pytest.mark.usefixtures("unrendered")
def test_cut_runs_alone_are_drawn(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.5, _by_importance(settings, 0))
    names = {picture.name for picture in write_figures(read_sweep_folder(sweep.path))}
    assert "importance_runs" in names and "medians" not in names


def _squares(settings: Any, seed: int, **changes: Any) -> dict[str, Any]:
    """Settings of a run that trains random squares."""
    own = settings(init="random_square", seed=seed, allocation__mode="random_square", **changes)
    return {name: None if name.startswith(LOGITS_ONLY) else v for name, v in own.items()}


def _with_curves(sweep: Any, settings: Any) -> Path:
    """Three seeds of one cell at ranks 5 to 7, one run of another without its end, and others."""
    _fill(sweep, settings, "capped")
    for seed, at_six in enumerate((0.3, 0.5, 0.4)):
        last = EpochRecord(
            *(1, 8, 0.5, {"matthews_correlation": 0.5}, None, 9.0, 0.0, 9, [3.0], [3]),
            by_rank={"5": 0.1, "6": at_six, "7": 0.6 + seed / 10},
        )
        sweep.finish(f"square-{seed}", 0.5, _squares(settings, seed), epochs=[last])
    return Path(sweep.path)


def test_curves_are_medians_over_the_seeds_at_each_rank(sweep: Any, settings: Any) -> None:
    found = read_sweep_folder(_with_curves(sweep, settings))
    curves = rank_curves(found.summary, found.courses)
    assert curves["cell"].tolist() == ["Random square"] * 3
    assert curves["rank"].tolist() == [5, 6, 7] and curves["n_seeds"].tolist() == [3] * 3
    assert curves["median"].tolist() == pytest.approx([0.1, 0.4, 0.7])
    assert curves["std"].tolist() == pytest.approx([0.0, 0.1, 0.1])


def test_report_has_a_table_of_the_curves_and_a_picture(sweep: Any, settings: Any) -> None:
    found = read_sweep_folder(_with_curves(sweep, settings))
    write_report(found, find(found), forms=Forms(page=False))
    text = (found.folder / "report.md").read_text()
    section = text.partition("## The metric over the rank")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines()]
    assert ["Random square", "6", "40.00 ± 10.00", "3"] in rows
    assert "figures/rank_curves.png" in section
    assert (found.folder / "figures" / "rank_curves.svg").exists()


def test_report_without_curves_has_no_such_section(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, "capped")
    found = read_sweep_folder(sweep.path)
    assert rank_curves_section(found, ["a picture"]) == []


def test_results_have_a_row_a_rank(sweep: Any, settings: Any) -> None:
    table = results(_with_curves(sweep, settings), ranks=True)
    assert table["folder"].tolist() == [f"square-{seed}" for seed in (0, 1, 2) for _ in range(3)]
    assert table["rank"].tolist() == [5, 6, 7] * 3
    assert table["metric"].tolist() == [0.1, 0.3, 0.6, 0.1, 0.5, 0.7, 0.1, 0.4, 0.8]
    with pytest.raises(SettingError, match="ranks must be false with epochs, but got True"):
        results(sweep.path, epochs=True, ranks=True)


def test_what_a_run_leaves_unsaid_is_said_beside_others(sweep: Any, settings: Any) -> None:
    sweep.finish("own", 0.5, settings())
    sweep.finish("other", 0.5, settings(seed=1) | {"model.lora_alpha": 8.0})
    assert results(sweep.path).set_index("folder")["model.lora_alpha"].to_dict() == {
        "own": 16.0,
        "other": 8.0,
    }


def test_epochs_that_count_part_no_run_from_the_baseline(sweep: Any, settings: Any) -> None:
    """Runs whose budget moves say which epochs count; those with fixed ranks do not."""
    for seed in (0, 1):
        sweep.finish(f"l{seed}", 0.6, settings(seed=seed) | {"training.best_from": "settled"})
        sweep.finish(f"f{seed}", 0.5, settings(init="fixed", seed=seed))
    (comparison,) = compare_inits(collect_runs(sweep.path))
    assert comparison.lines[0].paired.differences == pytest.approx((10, 10))
