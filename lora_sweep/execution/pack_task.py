"""One pack for a worker: what is sent to it, and what it does there."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from lora_sweep.errors import LoraSweepError, TrainingFailedError
from lora_sweep.execution.group import Group, Options
from lora_sweep.execution.job import Job
from lora_sweep.execution.protocols import PackEnd, Stop, StopPolicy
from lora_sweep.interrupt import StoppedError


@dataclass(frozen=True)
class PackTask:
    """Trains one agreed pack in the process that calls it; picklable.

    Attributes:
        pack: its name.
        jobs: its runs.
        stop_policy: decides which of them end early; None for none.
        folder: where relative paths start from.
        log_level: from which on lines go to the runs' logs.
        together: so many neighbouring runs stay in one pack where a pack is halved.
    """

    pack: str
    jobs: tuple[Job, ...]
    stop_policy: StopPolicy | None
    folder: str
    log_level: int
    together: int = 1

    def __call__(self) -> PackEnd:
        """Trains it, unless another process does, and returns how that ended; never raises.

        The claim guards against a second worker; base and tokens stay in memory for the next
        pack.
        """
        error: LoraSweepError | None = None
        stopped = None
        with contextlib.chdir(self.folder), _warnings(self.log_level) as said:
            try:
                options = Options(
                    together=self.together, stop_policy=self.stop_policy, waits=False
                )
                group = Group(self.jobs, options)
                group.try_pack(self.pack, list(group.jobs))
            except StoppedError as stop:
                stopped = Stop(stop.signal_number, str(stop), stop.n_steps)
            except LoraSweepError as own:
                error = own
            except Exception as other:  # it may not be picklable, or known where it comes back
                error = TrainingFailedError(f"{type(other).__name__}: {other}")
        return PackEnd(error, stopped, tuple(said))


@contextlib.contextmanager
def _warnings(level: int) -> Iterator[list[str]]:
    """Collects warnings and worse; lines from `level` on reach the runs' logs."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    before = root.level
    root.setLevel(level)
    root.addHandler(handler)
    try:
        yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
