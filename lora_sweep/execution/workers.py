"""Runs for an executor's workers: all at once, or more of them while others train."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lora_sweep.execution.dispatch import Dispatch
from lora_sweep.execution.display import Display
from lora_sweep.execution.group import Options
from lora_sweep.execution.job import Job, Outcome
from lora_sweep.interrupt import LeftError, stop_on_signals


def dispatch_jobs(jobs: Sequence[Job], options: Options) -> list[Outcome]:
    """Has runs trained by the executor's workers, and returns what became of each, in order.

    Args:
        jobs: the runs, all of one sweep.
        options: how they are divided and ended, and by whom they are trained.

    Raises:
        StoppedError: a signal came; the workers have saved.
        LeftError: the packs are handed out, and are not to be waited for.
        StorageError: something can't be written.
    """
    outcomes: dict[str, Outcome] = {}
    with dispatching(options) as dispatch:
        dispatch.add(jobs)
        if options.leave is not None:
            dispatch.leave()
        while dispatch.is_busy:
            outcomes |= dispatch.turn()
    return [outcomes[job.name] for job in jobs]


@contextmanager
def dispatching(options: Options) -> Iterator[Dispatch]:
    """Yields a dispatch without runs; whatever breaks its work off has the workers save and stop.

    Args:
        options: how runs are divided and ended, and by whom they are trained.

    Raises:
        StoppedError: a signal came; the workers have saved.
    """
    assert options.executor is not None
    with stop_on_signals() as stop, Display("all runs", 0, unit="run") as display:
        try:
            yield Dispatch(options, options.executor, display, stop)
        except LeftError:
            raise
        except BaseException:
            options.executor.stop()
            raise
