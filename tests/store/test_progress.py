"""How far a run has come, from checkpoints that the recorder writes."""

from pathlib import Path

import pytest
import torch

from lora_sweep.store.checkpoint import Checkpoint, write_checkpoint
from lora_sweep.store.progress import read_progress
from lora_sweep.training.snapshot import RunSnapshot


def write(folder: Path, *, epochs: int, step: int, seconds: float) -> None:
    """A checkpoint of a run that takes ten steps an epoch."""
    shot = RunSnapshot(step=step, n_epochs=epochs, r=2, tensors={"R": torch.zeros(2)})
    history = [{"kind": "epoch", "epoch": e, "step": 10 * e} for e in range(1, epochs + 1)]
    history.append({"kind": "ranks", "step": step})
    checkpoint = Checkpoint(shot, history, [], {}, wall_seconds=seconds)
    write_checkpoint(folder, checkpoint, "f")


@pytest.mark.parametrize(
    ("epochs", "step", "share"),
    [(1, 10, 1 / 4), (2, 25, 5 / 8), (0, 7, 0.0), (4, 40, 1.0)],
    ids=["epoch", "within_an_epoch", "first_epoch", "end"],
)
def test_share_is_of_all_steps(epochs: int, step: int, share: float, tmp_path: Path) -> None:
    write(tmp_path, epochs=epochs, step=step, seconds=3.5)
    progress = read_progress(tmp_path, 4)
    assert progress is not None
    assert (progress.share, progress.epoch, progress.seconds) == (share, epochs, 3.5)


@pytest.mark.parametrize(
    ("max_steps", "share", "n_epochs"),
    [(32, 16 / 32, 4), (25, 16 / 25, 3), (16, 1.0, 2), (90, 16 / 40, 4)],
)
def test_share_is_of_the_steps_up_to_the_bound(
    max_steps: int, share: float, n_epochs: int, tmp_path: Path
) -> None:
    write(tmp_path, epochs=1, step=16, seconds=3.5)
    progress = read_progress(tmp_path, 4, max_steps)
    assert progress is not None
    assert (progress.share, progress.n_epochs) == (share, n_epochs)


def test_newest_readable_checkpoint_counts(tmp_path: Path) -> None:
    write(tmp_path, epochs=1, step=10, seconds=1.0)
    write(tmp_path, epochs=2, step=20, seconds=2.0)
    (tmp_path / "0002-000000020.safetensors").write_bytes(b"cut")
    progress = read_progress(tmp_path, 4)
    assert progress is not None and progress.epoch == 1


def test_run_without_checkpoint_has_none(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "nowhere", 4) is None
