"""Tidy table -> a row a cell."""

from collections.abc import Callable
from math import isnan, sqrt
from typing import Any

import pytest

from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.summarise import cell_settings, summarise_runs

Settings = Callable[..., dict[str, Any]]


def test_summary_has_median_and_sample_std(sweep: Any, settings: Settings) -> None:
    for seed, best in enumerate((0.60, 0.90, 0.63)):
        sweep.finish(f"run {seed}", best, settings(seed=seed))
    (cell,) = summarise_runs(collect_runs(sweep.path)).to_dict("records")
    # Mean 0.71, deviations -0.11, 0.19, -0.08: squares sum to 0.0546, and n - 1 = 2.
    assert cell["median"] == pytest.approx(0.63)
    assert cell["std"] == pytest.approx(sqrt(0.0273))
    assert cell["final_median"] == pytest.approx(0.53)
    assert cell["final_std"] == pytest.approx(sqrt(0.0273))


def test_one_seed_has_no_std(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings())
    (cell,) = summarise_runs(collect_runs(sweep.path)).to_dict("records")
    assert cell["median"] == 0.5
    assert isnan(cell["std"]) and isnan(cell["final_std"])


def test_cell_counts_what_is_not_finished(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings(seed=3))
    sweep.finish("b", 0.0, settings(seed=1), collapsed=True)
    sweep.fail("c", settings(seed=2), "no")
    sweep.start("d", settings(seed=4))
    sweep.start("e", settings(seed=5))
    sweep.write("e", "result.json", "")
    (cell,) = summarise_runs(collect_runs(sweep.path)).to_dict("records")
    counts = {name: cell[name] for name in cell if name.startswith("n_")}
    assert counts == {
        "n_seeds": 2,
        "n_expected": 5,
        "n_failed": 1,
        "n_missing": 1,
        "n_unreadable": 1,
        "n_pruned": 0,
        "n_trained": 6,
        "n_collapsed": 1,
    }
    assert (cell["seeds"], cell["folders"]) == ((1, 3), ("b", "a"))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"lr": 0.002}, id="number"),
        pytest.param({"budget__schedule": "ramp"}, id="text"),
        pytest.param({"model__dropout": 0.1}, id="number against None"),
        pytest.param({"model__adapted": ["query"]}, id="list"),
        pytest.param({"init": "randn"}, id="init"),
        pytest.param({"training__extra": True}, id="setting of one run only"),
    ],
)
def test_any_other_setting_splits_cells(
    sweep: Any, settings: Settings, changes: dict[str, Any]
) -> None:
    sweep.finish("a", 0.5, settings(seed=0))
    sweep.finish("b", 0.6, settings(seed=0, **changes))
    sweep.finish("c", 0.7, settings(seed=1, **changes))
    summary = summarise_runs(collect_runs(sweep.path))
    assert sorted(summary["n_seeds"]) == [1, 2]


def test_none_equals_none_in_a_cell(sweep: Any, settings: Settings) -> None:
    for seed in (0, 1):
        sweep.finish(f"fixed {seed}", 0.5, settings(init="fixed", seed=seed))
        sweep.finish(f"learnt {seed}", 0.5, settings(seed=seed))
    summary = summarise_runs(collect_runs(sweep.path))
    assert summary["n_seeds"].tolist() == [2, 2]
    assert "seed" not in cell_settings(summary)


def test_run_of_unknown_settings_has_no_cell(sweep: Any, settings: Settings) -> None:
    sweep.write("a", "result.json", "{")
    assert summarise_runs(collect_runs(sweep.path)).empty
    sweep.finish("b", 0.5, settings())
    assert summarise_runs(collect_runs(sweep.path))["n_expected"].tolist() == [1]


@pytest.mark.parametrize(
    ("second", "shared"),
    [
        pytest.param({"seed": 1}, [True, False], id="twice in this cell"),
        pytest.param({"init": "randn", "seed": 0}, [True, True, False], id="in another cell"),
    ],
)
def test_cell_says_that_it_shares_a_run(
    sweep: Any, settings: Settings, second: dict[str, Any], shared: list[bool]
) -> None:
    sweep.finish("a", 0.5, settings(), fingerprint="same")
    sweep.finish("b", 0.5, settings(**second), fingerprint="same")
    sweep.finish("c", 0.5, settings(init="quadratic"), fingerprint="own")
    sweep.fail("d", settings(init="quadratic", seed=1), "no")
    sweep.fail("e", settings(init="quadratic", seed=2), "no")
    assert summarise_runs(collect_runs(sweep.path))["shares_a_run"].tolist() == shared


def test_cells_stand_by_init_then_median(sweep: Any, settings: Settings) -> None:
    inits = ("fixed", "zigzag", "left_skewed", "bell", "quadratic", "randn", "uniform")
    for init in inits:
        sweep.finish(init, 0.5, settings(init=init))
    sweep.start("none", settings(lr=0.1))
    sweep.finish("best", 0.6, settings(lr=0.2))
    sweep.finish("tie", 0.5, settings(lr=0.3))
    summary = summarise_runs(collect_runs(sweep.path))
    assert summary["init"].tolist()[3:] == [
        "uniform",
        "randn",
        "quadratic",
        "left_skewed",
        "bell",
        "zigzag",
        "fixed",
    ]
    # The runs' order is that of their names: `tie` comes before `uniform`.
    assert summary["lr"].tolist()[:4] == [0.2, 0.3, 0.001, 0.1]
