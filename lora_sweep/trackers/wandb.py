"""Weights & Biases, offline: a folder a run in the sweep's `wandb/`, for `wandb sync` later.

An offline run has no page before it is synced, and its steps can't be taken back when a run goes
on from a checkpoint. So the points are kept, and written when the run has ended. A run that is
trained again has the same id, so it is one run of W&B: the later training replaces the earlier.
"""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_sweep.vocabulary import FAILED

ID_FILE = "wandb_id"
"""In the run's folder: what W&B knows the run by."""


class WandbTracker:
    """Keeps one run's points, and writes them at its end."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], cell: str) -> None:
        """Writes nothing yet.

        Args:
            folder: of the run; its name is the run's, and the sweep's the project's.
            settings: of the run.
            cell: name of the run's cell, whose runs are a group.
        """
        self._folder, self._settings, self._cell = folder, dict(settings), cell
        self._points: list[tuple[int, Mapping[str, float]]] = []

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._points.append((step, values))

    def finish(self, outcome: str, summary: Mapping[str, float]) -> None:
        """See `Tracker`."""
        import wandb

        sweep, own_id = self._folder.resolve().parent, _own_id(self._folder)
        for earlier in sweep.glob(f"wandb/offline-run-*-{own_id}"):
            shutil.rmtree(earlier)
        run = wandb.init(
            id=own_id,
            project=sweep.name,
            name=self._folder.name,
            group=self._cell,
            dir=sweep,
            config=self._settings,
            reinit="create_new",  # whatever else of this process is tracked stays as it is
            # Nothing of the machine, of the console or of the code is told.
            settings=wandb.Settings(
                mode="offline",
                silent=True,
                console="off",
                save_code=False,
                x_disable_stats=True,
                x_disable_meta=True,
            ),
        )
        try:
            for step, values in self._points:
                run.log(dict(values), step=step)
            run.summary.update({"outcome": outcome, **summary})
        finally:
            run.finish(exit_code=int(outcome == FAILED))

    def close(self) -> None:
        """See `Tracker`."""


def _own_id(folder: Path) -> str:
    """The id of the folder's run, drawn at its first training."""
    path = folder / ID_FILE
    if not path.exists():
        path.write_text(secrets.token_hex(8), encoding="utf-8")
    return path.read_text(encoding="utf-8")
