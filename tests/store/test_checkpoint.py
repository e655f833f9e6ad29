"""Checkpoints on disk: the last two, whole, of this very run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lora_sweep.store.calibration import CalibrationRecord
from lora_sweep.store.checkpoint import (
    Checkpoint,
    common_place,
    places,
    read_checkpoint,
    write_checkpoint,
)
from lora_sweep.training.snapshot import RunSnapshot


def checkpoint(n_epochs: int, step: int) -> Checkpoint:
    shot = RunSnapshot(
        step=step,
        n_epochs=n_epochs,
        r=3,
        tensors={"values/R": torch.full((2, 3, 3), float(step))},
        total_loss=0.1 + 0.2,
        unread_losses=(0.1, float("nan")),
    )
    return Checkpoint(
        snapshot=shot,
        history=[
            {"kind": "epoch", "epoch": epoch + 1, "loss": 1 / 3} for epoch in range(n_epochs)
        ],
        predictions=[{"in": np.array([0, epoch])} for epoch in range(n_epochs)],
        state={"R": torch.zeros(2)} if n_epochs else {},
        wall_seconds=1.5,
        calibration=CalibrationRecord([[0.1], [0.2]], [1, 3]) if n_epochs else None,
    )


def test_checkpoint_comes_back(tmp_path: Path) -> None:
    written = checkpoint(2, 7)
    write_checkpoint(tmp_path, written, "f")
    read = read_checkpoint(tmp_path, (2, 7), "f")
    assert read is not None
    assert torch.equal(read.snapshot.tensors["values/R"], written.snapshot.tensors["values/R"])
    assert (read.place, read.snapshot.r, read.wall_seconds) == ((2, 7), 3, 1.5)
    assert read.snapshot.total_loss == 0.1 + 0.2
    assert read.snapshot.unread_losses[0] == 0.1 and np.isnan(read.snapshot.unread_losses[1])
    assert read.history == written.history
    assert read.calibration == written.calibration is not None
    assert [parts["in"].tolist() for parts in read.predictions] == [[0, 0], [0, 1]]
    assert torch.equal(read.state["R"], torch.zeros(2))


def test_checkpoint_before_the_first_evaluation(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(0, 4), "f")
    read = read_checkpoint(tmp_path, (0, 4), "f")
    assert read is not None
    assert (read.predictions, read.state, read.history) == ([], {}, [])
    assert read.calibration is None


def test_last_two_are_kept(tmp_path: Path) -> None:
    for n_epochs, step in ((0, 3), (1, 5), (1, 8), (2, 10), (10, 50)):
        write_checkpoint(tmp_path, checkpoint(n_epochs, step), "f")
    assert places(tmp_path) == [(2, 10), (10, 50)]


@pytest.mark.parametrize("damage", ["cut", "flipped", "another run", "pickle"])
def test_checkpoint_that_cannot_be_trusted_is_set_aside(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path, checkpoint(1, 5), "another" if damage == "another run" else "f")
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "flipped":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "pickle":
        torch.save({"values/R": torch.zeros(2)}, path)
    assert read_checkpoint(tmp_path, (1, 5), "f") is None
    assert places(tmp_path) == []
    assert [file.name for file in tmp_path.iterdir()] == [f"{path.name}.damaged"]
    assert "goes on from an older one" in caplog.text


@pytest.mark.parametrize(
    ("of_runs", "common"),
    [
        ([[(1, 5)]], (1, 5)),
        ([[(1, 5), (2, 10)], [(1, 5)]], (1, 5)),
        ([[(1, 5), (2, 10)], [(2, 10), (2, 12)]], (2, 10)),
        ([[(1, 5)], [(2, 10)]], None),
        ([[(1, 5)], []], None),
        ([[]], None),
    ],
)
def test_pack_goes_on_from_the_last_place_of_all(
    of_runs: list[list[tuple[int, int]]], common: tuple[int, int] | None
) -> None:
    assert common_place(of_runs) == common
