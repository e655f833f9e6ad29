"""The packs that are trained just now, and those that can go on: who trains them, how far."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_sweep.status.folders import Run
from lora_sweep.store.claims import live_claims
from lora_sweep.store.pack_list import read_packs
from lora_sweep.store.progress import Progress, read_progress
from lora_sweep.store.run_folder import PACKS
from lora_sweep.store.state import CHECKPOINTS, SETTINGS_FILE, State


@dataclass(frozen=True)
class PackStatus:
    """Runs that train together, or did.

    Attributes:
        name: of the pack.
        runs: names of those that are not done.
        owner: who trains them now; None for a pack that waits to go on.
        epoch, n_epochs: evaluations so far, and in all.
        share: of the steps that are taken, 0 to 1; since the last checkpoint at the pace before.
        started_at, noted_at: the training's start and last checkpoint, seconds of the file
            system's clock; pauses of the training are left out.
    """

    name: str
    runs: tuple[str, ...]
    owner: str | None
    epoch: int
    n_epochs: int
    share: float
    noted_share: float
    started_at: float
    noted_at: float

    @property
    def seconds_left(self) -> float | None:
        """Until its end at its pace so far; None if that is not known."""
        if not self.noted_share:
            return None
        return (self.noted_at - self.started_at) * (1 - self.share) / self.noted_share


def pack_states(sweep_dir: Path, runs: Mapping[str, Run]) -> list[PackStatus]:
    """Returns the packs with runs that are not done and are trained now or have checkpoints.

    Args:
        sweep_dir: folder of the sweep.
        runs: name -> run.

    Raises:
        RecordError: the list of packs can't be read.
    """
    owners = live_claims(sweep_dir / PACKS)
    states = []
    for name, members in read_packs(sweep_dir).items():
        known = [runs[member] for member in members if member in runs]
        left = [run for run in known if run.state is State.OPEN]
        if left and (name in owners or any(run.has_begun for run in left)):
            states.append(_state(sweep_dir, name, left, owners.get(name)))
    return states


def _state(sweep_dir: Path, name: str, left: Sequence[Run], owner: str | None) -> PackStatus:
    # They stand at one place, so one of them tells it.
    first = next((run for run in left if run.has_begun), left[0])
    n_epochs = first.settings.get("training.epochs")
    n_epochs = n_epochs if isinstance(n_epochs, int) and n_epochs > 0 else 1
    max_steps = first.settings.get("training.max_steps")
    max_steps = max_steps if isinstance(max_steps, int) and max_steps > 0 else None
    folder = sweep_dir / first.name
    progress = read_progress(folder / CHECKPOINTS, n_epochs, max_steps)
    progress = progress or _beginning(folder, n_epochs)
    share = progress.share
    if owner is not None and share and progress.seconds > 0:
        since = max(0.0, time.time() - progress.written_at)
        # Not further than to the next evaluation: that one would have been noted.
        share = min(1.0, share + 1 / progress.n_epochs, share * (1 + since / progress.seconds))
    return PackStatus(
        name=name,
        runs=tuple(run.name for run in left),
        owner=owner,
        epoch=progress.epoch,
        n_epochs=progress.n_epochs,
        share=share,
        noted_share=progress.share,
        started_at=progress.written_at - progress.seconds,
        noted_at=progress.written_at,
    )


def _beginning(folder: Path, n_epochs: int) -> Progress:
    """Nothing trained yet, since the run's folder was made."""
    try:
        return Progress(0.0, 0, n_epochs, 0.0, (folder / SETTINGS_FILE).stat().st_mtime)
    except FileNotFoundError:
        return Progress(0.0, 0, n_epochs, 0.0, time.time())
