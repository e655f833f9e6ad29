"""A sweep's table in hand: rows per run and per epoch, of one sweep or several."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep import results
from lora_sweep.errors import LoraSweepError


@pytest.fixture
def filled(sweep: Any, settings: Any) -> Path:
    sweep.finish("a", 0.6, settings(seed=0))
    sweep.finish("b", 0.7, settings(seed=1, lr=0.002))
    sweep.fail("c", settings(seed=2), "the loss was not finite")
    return Path(sweep.path)


def test_row_per_run(filled: Path) -> None:
    table = results(str(filled))
    assert table["folder"].tolist() == ["a", "b", "c"]
    assert table["status"].tolist() == ["finished", "finished", "failed"]
    assert table["reported_metric"].tolist()[:2] == [0.6, 0.7]
    assert table["lr"].tolist() == [0.001, 0.002, 0.001]


def test_row_per_epoch(filled: Path) -> None:
    table = results(filled, epochs=True)
    assert table["folder"].tolist() == ["a"] * 3 + ["b"] * 3
    assert table["epoch"].tolist() == [1, 2, 3] * 2
    assert table["matthews_correlation"].tolist() == pytest.approx(
        [0.55, 0.6, 0.5, 0.65, 0.7, 0.6]
    )
    assert table["seed"].tolist() == [0] * 3 + [1] * 3
    assert table["ranks"][0] == (20.0,) and table["matrices"][0] == ("encoder.layer.0.query",)


def test_several_sweeps_are_told_apart(filled: Path, sweep: Any, settings: Any) -> None:
    other = filled.parent / "other"
    type(sweep)(other).finish("a", 0.8, settings(seed=0))
    table = results([filled, other])
    assert table["sweep"].tolist() == ["demo"] * 3 + ["other"]
    assert set(results([filled], epochs=True)["sweep"]) == {"demo"}


def test_sweeps_of_one_name_are_refused(filled: Path, sweep: Any, settings: Any) -> None:
    other = filled.parent / "b" / "demo"
    type(sweep)(other).finish("a", 0.8, settings(seed=0))
    with pytest.raises(LoraSweepError, match="different names, but got demo more than once"):
        results([filled, other])


def test_folder_without_a_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoraSweepError, match="must hold a sweep"):
        results(tmp_path)
