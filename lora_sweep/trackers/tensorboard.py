"""TensorBoard: an event file in the run's folder, so `tensorboard --logdir outputs/SWEEP`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

FLUSH_SECONDS = 10
EVENTS = "events.out.tfevents.*"


class TensorBoardTracker:
    """Writes one run as it goes: scalars, and at its end its settings with its last numbers."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Starts anew: what an earlier training of the run left is removed.

        Args:
            folder: of the run.
            settings: of the run.
        """
        from torch.utils.tensorboard import SummaryWriter

        for path in folder.glob(EVENTS):
            path.unlink()
        self._settings = settings
        self._writer = SummaryWriter(str(folder), flush_secs=FLUSH_SECONDS)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, outcome: str, summary: Mapping[str, float]) -> None:
        """See `Tracker`; the page HPARAMS compares runs by their settings."""
        from torch.utils.tensorboard.summary import hparams

        plain = {
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value in {**self._settings, "outcome": outcome}.items()
        }
        for part in hparams(plain, dict(summary)):  # type: ignore[no-untyped-call]
            self._writer.file_writer.add_summary(part)  # type: ignore[attr-defined]
        self.log(0, summary)

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()
