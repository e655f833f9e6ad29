"""TensorBoard: event files in the run's folder, so `tensorboard --logdir outputs/SWEEP`.

Its page HPARAMS has a row a run. The settings and last numbers lie in a folder of their own, for
TensorBoard makes a column of every scalar that lies with a run's settings. Which settings there
are, and which differ, it finds out from all runs; PyTorch's `add_hparams` would write a list of
them with each run, and TensorBoard would take one run's list for all.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_sweep.vocabulary import FAILED

FLUSH_SECONDS = 10
EVENTS = "events.out.tfevents.*"
HPARAMS = "hparams"
"""The folder of settings and last numbers within the run's."""


class TensorBoardTracker:
    """Writes one run as it goes: scalars, and at its end its settings with its last numbers."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], cell: str) -> None:
        """Starts anew: what an earlier training of the run left is removed.

        Args:
            folder: of the run.
            settings: of the run.
            cell: name of the run's cell.
        """
        from torch.utils.tensorboard import SummaryWriter

        for path in (*folder.glob(EVENTS), *folder.glob(f"{HPARAMS}/{EVENTS}")):
            path.unlink()
        self._folder, self._settings, self._cell = folder, settings, cell
        self._started = time.time()
        self._writer = SummaryWriter(str(folder), flush_secs=FLUSH_SECONDS)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, outcome: str, summary: Mapping[str, float]) -> None:
        """See `Tracker`; the page HPARAMS compares runs by their settings."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from torch.utils.tensorboard import SummaryWriter

        told = {"cell": self._cell, **self._settings, "outcome": outcome}
        plain = {
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value in told.items()
        }
        with SummaryWriter(str(self._folder / HPARAMS)) as writer:
            for part in (
                hparams_pb(plain, trial_id=self._folder.name, start_time_secs=self._started),
                _session_end(outcome),
            ):
                writer.file_writer.add_summary(part)
            for name, value in summary.items():
                writer.add_scalar(name, value, 0)

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()


def _session_end(outcome: str) -> Any:
    """How TensorBoard is told that a run has ended."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_FAILURE if outcome == FAILED else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    content = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])
