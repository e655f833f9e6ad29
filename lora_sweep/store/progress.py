"""How far a run has come, read off its newest checkpoint without loading what it has trained."""

import json
import math
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
        n_epochs: evaluations in all, as far as that is known.
        seconds: trained so far.
        written_at: when, seconds of the file system's clock.
    """

    share: float
    epoch: int
    n_epochs: int
    seconds: float
    written_at: float


def read_progress(
    checkpoints: Path, n_epochs: int, max_steps: int | None = None
) -> Progress | None:
    """Returns how far a run has come; None without a checkpoint that can be read.

    Args:
        checkpoints: folder of the run's checkpoints; need not be there.
        n_epochs: most epochs that the run trains for.
        max_steps: most steps; None for no bound.
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
            share, n_all = 0.0, n_epochs
            if epochs:
                per_epoch = epochs[0]["step"]  # a last epoch may be cut off
                n_steps = min(per_epoch * n_epochs, max_steps or math.inf)
                share, n_all = min(1.0, numbers["step"] / n_steps), math.ceil(n_steps / per_epoch)
            return Progress(share, len(epochs), n_all, seconds, written_at)
        except (OSError, DamagedFileError, SafetensorError, ValueError, KeyError, TypeError):
            continue  # just replaced by a newer one, or damaged: who trains it says so
    return None
