"""The interface of a tracker, and the tracker of a run by the name in its config.

`history.jsonl` and the records are the truth; a tracker only shows it elsewhere. So it is told a
run's history from the beginning, also when a run goes on from a checkpoint, and a tracker that
breaks ends nothing but itself.
"""

import importlib.util
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from lora_sweep.errors import SettingError
from lora_sweep.extras import install_command

log = logging.getLogger(__name__)

NONE = "none"
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}
"""Tracker -> the package that it writes with, which is also the name of our extra."""

Values = Mapping[str, float]


class Tracker(Protocol):
    """Shows one run elsewhere."""

    def log(self, step: int, values: Values) -> None:
        """Adds points; steps never go back.

        Args:
            step: optimiser steps taken.
            values: name -> value; `/` groups names.
        """

    def finish(self, outcome: str, summary: Values) -> None:
        """Adds how the run ended: `finished`, `failed` or `pruned`, and its last numbers."""

    def close(self) -> None:
        """Gives back what is open; the run has ended, or will go on from a checkpoint."""


class NoTracker:
    """Shows nothing."""

    def log(self, step: int, values: Values) -> None:
        """See `Tracker`."""

    def finish(self, outcome: str, summary: Values) -> None:
        """See `Tracker`."""

    def close(self) -> None:
        """See `Tracker`."""


class GuardedTracker:
    """A tracker that warns once and then is silent, where another would break the training."""

    def __init__(self, run: str, start: Callable[[], Tracker]) -> None:
        """Starts the tracker.

        Args:
            run: name of the run, for the warning.
            start: makes the tracker.
        """
        self._run = run
        self._tracker: Tracker = NoTracker()
        self._try(lambda: setattr(self, "_tracker", start()))

    def log(self, step: int, values: Values) -> None:
        """See `Tracker`."""
        self._try(lambda: self._tracker.log(step, values))

    def finish(self, outcome: str, summary: Values) -> None:
        """See `Tracker`."""
        self._try(lambda: self._tracker.finish(outcome, summary))

    def close(self) -> None:
        """See `Tracker`."""
        self._try(self._tracker.close)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # whatever a tracker raises, the numbers are in the history
            self._tracker = NoTracker()
            log.warning(
                "%s is not tracked any further, its training goes on: %s: %s",
                self._run,
                type(error).__name__,
                error,
            )


def check_tracker(name: str) -> None:
    """Checks that a tracker's package is installed, without importing it.

    Raises:
        SettingError: it is not.
    """
    package = PACKAGES.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise SettingError(
            f"tracker must be installed, but got {name} without its package: "
            f"{install_command(name)}, or tracker=none"
        )


def start_tracker(name: str, folder: Path, settings: Mapping[str, Any], cell: str) -> Tracker:
    """Returns the tracker of a run that is about to train or go on; it knows no points yet.

    Args:
        name: `none`, `tensorboard` or `wandb`.
        folder: of the run.
        settings: of the run; those that are None have no effect, and are left out.
        cell: what the runs of all its seeds are put together by.
    """
    known = {key: value for key, value in settings.items() if value is not None}
    if name == "tensorboard":
        from lora_sweep.trackers.tensorboard import TensorBoardTracker

        return GuardedTracker(folder.name, lambda: TensorBoardTracker(folder, known, cell))
    if name == "wandb":
        from lora_sweep.trackers.wandb import WandbTracker

        return GuardedTracker(folder.name, lambda: WandbTracker(folder, known, cell))
    return NoTracker()
