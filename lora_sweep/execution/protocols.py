"""What execution asks of others: of who trains packs elsewhere, and of who ends runs early.

An executor stands for other processes here, a cluster's queue, other hosts:

    task (picklable) --submit--> handle --end()--> PackEnd, or WorkerDiedError

Nothing big comes back: what became of a run stands in its folder, which all processes see.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lora_sweep.errors import LoraSweepError


@dataclass(frozen=True)
class Stop:
    """That somebody else asked a worker to stop.

    Attributes:
        signal_number: of the signal that asked.
        said: what the worker says of it.
        n_steps: optimiser steps that it took and saved.
    """

    signal_number: int
    said: str
    n_steps: int


@dataclass(frozen=True)
class PackEnd:
    """How a worker's work on a pack ended.

    Attributes:
        error: what kept it from training, or from writing; None for what stands in the folders.
        stopped: that somebody else asked it to stop; None if nobody did.
        warnings: what it logged as warnings and errors, a line each.
    """

    error: LoraSweepError | None = None
    stopped: Stop | None = None
    warnings: tuple[str, ...] = ()


Task = Callable[[], PackEnd]


class Handle(Protocol):
    """A pack that was handed out."""

    def end(self) -> PackEnd | None:
        """Returns how it ended, or None as long as it has not; never waits.

        Raises:
            WorkerDiedError: its worker is gone, and has left no answer.
        """

    def is_started(self) -> bool:
        """Returns whether a worker should have the pack's claim by now.

        False while it waits in a queue, and where the library itself tells of dead workers.
        """

    def drop(self) -> str:
        """Ends a worker that gives no sign of life, and returns its name, as `job 12_3`."""


class Executor(Protocol):
    """Workers that take packs.

    Attributes:
        capacity: packs that may be handed out at once, at least 1.
    """

    capacity: int

    def submit(self, tasks: Sequence[Task]) -> list[Handle]:
        """Hands out tasks, together with those under way never more than `capacity`.

        Raises:
            LoraSweepError: the workers can't be had; the message says what to do.
        """

    def resume(self, pack: str) -> Handle | None:
        """Returns the pack's handle, if an earlier command has handed it out.

        None unless it is queued, is trained, or has left an answer.
        """

    def stop(self) -> None:
        """Asks all workers to save and stop, and returns when they have.

        Raises:
            KeyboardInterrupt: another signal came meanwhile; then they are ended at once.
        """


class StopPolicy(Protocol):
    """Decides, after every evaluation but the last, which runs of a pack end.

    One that is sent to other processes must be picklable.
    """

    def stopped(self, epoch: int, metrics: Mapping[str, float]) -> Collection[str]:
        """Returns the names of the runs that end now.

        Args:
            epoch: that all runs of the pack have finished, 1 for the first.
            metrics: name of each run that is left in the pack -> the metric that would be
                reported of it if it ended now, 0 to 1.
        """
