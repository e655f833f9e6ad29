"""Options to allocate in a report: each an arm with rows of its own, none mixed in a cell."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.compare.observation import observation_section
from lora_sweep.report.figures.write import write_figures
from lora_sweep.report.pages.tables import cells_table
from lora_sweep.report.table.arms import init_grid
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.table.sweep import read_sweep_folder

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
