"""From saved predictions to the table of intervals."""

from typing import Any

import numpy as np

from lora_sweep.report.compare.noise import noise_section
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.store.predictions import DevLabels, save_predictions

LABELS = np.array([0, 1] * 20)


def _run(sweep: Any, name: str, best: float, settings: Any, *, n_wrong: int) -> None:
    """A run whose second epoch, the best, has so many wrong predictions; the first has all."""
    folder = sweep.finish(name, best, settings)
    right = LABELS.copy()
    right[:n_wrong] = 1 - right[:n_wrong]
    parts = [{"dev": predicted} for predicted in (1 - LABELS, right, LABELS)]
    save_predictions(
        folder / "predictions.safetensors", parts, DevLabels({"dev": LABELS}, ("dev",))
    )


def _rows(sweep: Any) -> list[list[str]]:
    section = noise_section(read_sweep_folder(sweep.path))
    lines = section[1].partition("|:--")[2].splitlines()[1:] if section else []
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_best_cells_and_baselines_have_rows(sweep: Any, settings: Any) -> None:
    _run(sweep, "a", 0.9, settings(lr=0.1), n_wrong=4)
    _run(sweep, "b", 0.8, settings(lr=0.1, seed=1), n_wrong=8)
    _run(sweep, "c", 0.1, settings(lr=0.2), n_wrong=36)
    _run(sweep, "d", 0.5, settings(init="fixed"), n_wrong=20)
    best, baseline = _rows(sweep)
    assert best[:3] == ["Uniform, LR 0.1", "2", "70.00"]  # Matthews of 0.9 and 0.8 is 0.8 and 0.6
    assert best[4] == "10.00"
    assert baseline[:3] == ["fixed, rank 20", "1", "0.00"]
    assert (baseline[3], baseline[4]) == ("-", "-")
    assert float(baseline[5]) > 5


def test_runs_without_predictions_have_no_row(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.9, settings())
    assert noise_section(read_sweep_folder(sweep.path)) == []


def test_epoch_without_predictions_has_no_row(sweep: Any, settings: Any) -> None:
    _run(sweep, "a", 0.9, settings(), n_wrong=4)
    path = sweep.path / "a" / "predictions.safetensors"
    parts = [{"dev": LABELS}]
    save_predictions(path, parts, DevLabels({"dev": LABELS}, ("dev",)))
    assert _rows(sweep) == []


def test_every_group_has_its_best_cells(sweep: Any, settings: Any) -> None:
    for metric, values in (("accuracy", (0.7, 0.5)), ("f1", (0.9, 0.8))):
        for init, value in zip(("uniform", "fixed"), values, strict=True):
            own = settings(init=init, data__metric=metric)
            _run(sweep, f"{init}-{metric}", value, own, n_wrong=4)
    named = [row[0] for row in _rows(sweep) if row and row[0].startswith("data.metric")]
    assert named == [
        *("data.metric=accuracy: Uniform, LR 0.001", "data.metric=accuracy: fixed, rank 20"),
        *("data.metric=f1: Uniform, LR 0.001", "data.metric=f1: fixed, rank 20"),
    ]
