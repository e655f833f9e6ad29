"""How far a run has come, read off its newest checkpoint without loading what it has trained."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lora_sweep.errors import DamagedFileError
from lora_sweep.files import opened

ABOUT = "about"
"""Entry of a checkpoint's metadata; as in `tensor_files`, which would load torch."""


@dataclass(frozen=True)
class Progress:
    """Where a run stood when its newest checkpoint was written.

    Attributes:
        share: of its steps that are taken, 0 to 1; within its first epoch 0, for the number of
            steps is not known before.
        epoch: evaluations so far.
        seconds: trained so far.
        written_at: when, seconds of the file system's clock.
    """

    share: float
    epoch: int
    seconds: float
    written_at: float


def read_progress(checkpoints: Path, n_epochs: int) -> Progress | None:
    """Returns how far a run has come; None without a checkpoint that can be read.

    Args:
        checkpoints: folder of the run's checkpoints; need not be there.
        n_epochs: that the run trains for.
    """
    # Their names order them: epochs and steps, with leading zeros.
    for path in sorted(checkpoints.glob("*.safetensors"), reverse=True):
        try:
            opened(path).close()
            with safe_open(path, framework="numpy") as file:
                about = json.loads(file.metadata()[ABOUT])
            numbers = json.loads(about["numbers"])
            seconds, written_at = float(numbers["wall_seconds"]), path.stat().st_mtime
            epochs = [entry for entry in numbers["history"] if entry["kind"] == "epoch"]
            share = 0.0
            if epochs:
                steps_an_epoch = epochs[-1]["step"] / epochs[-1]["epoch"]
                share = min(1.0, numbers["step"] / (steps_an_epoch * n_epochs))
            return Progress(share, len(epochs), seconds, written_at)
        except (OSError, DamagedFileError, SafetensorError, ValueError, KeyError, TypeError):
            continue  # just replaced by a newer one, or damaged: who trains it says so
    return None
