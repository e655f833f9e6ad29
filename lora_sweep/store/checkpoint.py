"""Checkpoints: where a run's training stands, on disk, so that it can go on to the bit.

A checkpoint is written after every evaluation and when a training is stopped. The last two are
kept: a pack that was killed between the checkpoints of two of its runs goes on from the older.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lora_sweep.errors import DamagedFileError
from lora_sweep.files import set_aside, writing
from lora_sweep.store.calibration import CalibrationRecord, calibration_of
from lora_sweep.tensor_files import read_tensors, write_tensors
from lora_sweep.training.parameters import Parameters
from lora_sweep.training.snapshot import RunSnapshot

FORMAT_VERSION = "1"
N_KEPT = 2

Place = tuple[int, int]
"""Epochs evaluated and steps taken: what a checkpoint is named after."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on.

    Attributes:
        snapshot: parameters, moments, generators.
        history: the history's entries so far.
        predictions: of every evaluation, dev part -> predictions (n,).
        state: trained state at the epoch that would be reported.
        wall_seconds: trained so far.
        calibration: where its ranks came from the data; None for other runs.
    """

    snapshot: RunSnapshot
    history: list[dict[str, Any]]
    predictions: list[dict[str, NDArray[Any]]]
    state: Parameters
    wall_seconds: float
    calibration: CalibrationRecord | None = None

    @property
    def place(self) -> Place:
        """What it is named after."""
        return self.snapshot.n_epochs, self.snapshot.step


def write_checkpoint(folder: Path, checkpoint: Checkpoint, fingerprint: str) -> None:
    """Writes a checkpoint, and removes all but the last two.

    Args:
        folder: of the run's checkpoints.
        checkpoint: what to keep.
        fingerprint: of the run.

    Raises:
        StorageError: it can't be written.
    """
    shot = checkpoint.snapshot
    tensors = {f"snapshot/{name}": part for name, part in shot.tensors.items()}
    tensors |= {f"state/{name}": part for name, part in checkpoint.state.items()}
    for name in checkpoint.predictions[0] if checkpoint.predictions else ():
        rows = np.stack([parts[name] for parts in checkpoint.predictions])
        tensors[f"predicted/{name}"] = torch.from_numpy(rows)
    numbers = {
        "step": shot.step,
        "n_epochs": shot.n_epochs,
        "r": shot.r,
        "total_loss": shot.total_loss,
        "unread_losses": shot.unread_losses,
        "wall_seconds": checkpoint.wall_seconds,
        "history": checkpoint.history,
    }
    if checkpoint.calibration is not None:
        numbers["calibration"] = dataclasses.asdict(checkpoint.calibration)
    about = {
        "format_version": FORMAT_VERSION,
        "fingerprint": fingerprint,
        "numbers": json.dumps(numbers),
    }
    with writing(folder):
        folder.mkdir(exist_ok=True)
    write_tensors(folder / _name(checkpoint.place), tensors, about)
    for place in places(folder)[:-N_KEPT]:
        (folder / _name(place)).unlink()


def read_checkpoint(folder: Path, place: Place, fingerprint: str) -> Checkpoint | None:
    """Returns a checkpoint; None for one that is damaged or not of this run, which is set aside.

    Args:
        folder: of the run's checkpoints.
        place: one of those that `places` lists.
        fingerprint: of the run that is wanted.
    """
    path = folder / _name(place)
    try:
        tensors, about = read_tensors(path)
        if about.get("format_version") != FORMAT_VERSION or about["fingerprint"] != fingerprint:
            raise DamagedFileError(f"{path} is of another base model, corpus or code")
        return _from_file(tensors, json.loads(about["numbers"]))
    except (DamagedFileError, KeyError, ValueError, TypeError, IndexError) as error:
        set_aside(path, error, "the run goes on from an older one, or starts again")
        return None


def places(folder: Path) -> list[Place]:
    """Returns where a run can go on from, the oldest first, by the names of its checkpoints."""
    found = []
    for path in folder.glob("*.safetensors"):
        n_epochs, _, step = path.stem.partition("-")
        if n_epochs.isdecimal() and step.isdecimal():
            found.append((int(n_epochs), int(step)))
    return sorted(found)


def _name(place: Place) -> str:
    return f"{place[0]:04d}-{place[1]:09d}.safetensors"


def _from_file(tensors: Parameters, numbers: dict[str, Any]) -> Checkpoint:
    snapshot = RunSnapshot(
        step=int(numbers["step"]),
        n_epochs=int(numbers["n_epochs"]),
        r=int(numbers["r"]),
        tensors=_part(tensors, "snapshot/"),
        total_loss=float(numbers["total_loss"]),
        unread_losses=tuple(map(float, numbers["unread_losses"])),
    )
    predicted = {name: rows.numpy() for name, rows in _part(tensors, "predicted/").items()}
    return Checkpoint(
        snapshot=snapshot,
        history=[dict(entry) for entry in numbers["history"]],
        predictions=[
            {name: rows[epoch] for name, rows in predicted.items()}
            for epoch in range(snapshot.n_epochs)
        ],
        state=_part(tensors, "state/"),
        wall_seconds=float(numbers["wall_seconds"]),
        calibration=calibration_of(numbers.get("calibration")),
    )


def _part(tensors: Parameters, prefix: str) -> Parameters:
    return {
        name.removeprefix(prefix): part
        for name, part in tensors.items()
        if name.startswith(prefix)
    }


def common_place(of_runs: Sequence[Sequence[Place]]) -> Place | None:
    """Returns the last place that all runs have a checkpoint of; None if there is none."""
    shared = set(of_runs[0]).intersection(*of_runs[1:])
    return max(shared, default=None)
