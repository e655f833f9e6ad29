"""Worker processes on this machine, each a pool of its own, by joblib's loky.

A pool breaks as a whole when its process dies. Pools of one therefore lose one pack, not all.
A worker is a fresh interpreter that gets its environment before it imports anything, so it sees
only its own device; it keeps base and tokens in memory from one pack to the next.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from importlib import import_module
from types import FrameType
from typing import Any

from lora_sweep.errors import TrainingFailedError, WorkerDiedError
from lora_sweep.execution.protocols import Handle, PackEnd, Task
from lora_sweep.interrupt import handle_termination, raise_stopped

QUIET = {"TQDM_DISABLE": "1"}
"""Workers share a terminal: the progress shown there is that of the whole sweep."""
ORPHAN_SECONDS = 1.0
"""Between two looks of a worker whether the process that started it is there."""


class PoolExecutor:
    """Workers, one an environment.

    Attributes:
        capacity: their number.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        """Starts nothing yet.

        Args:
            environments: what each worker's environment has besides this process's. Unless
                OMP_NUM_THREADS is set, the workers share the cores evenly.
        """
        threads = str(max(1, (os.cpu_count() or 1) // len(environments)))
        shared = QUIET | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
        self.workers = [_Worker({**shared, **own}) for own in environments]
        self.capacity = len(self.workers)

    def submit(self, tasks: Sequence[Task]) -> list[Handle]:
        """Gives each task to an idle worker."""
        idle = [worker for worker in self.workers if worker.is_idle]
        return [worker.start(task) for worker, task in zip(idle, tasks, strict=False)]

    def resume(self, pack: str) -> None:
        """Returns None: the workers end with the command that started them."""

    def stop(self) -> None:
        """Asks all workers to save and stop, and returns when they have."""
        try:
            for worker in self.workers:
                worker.ask_to_stop()
            wait([worker.future for worker in self.workers if worker.future is not None])
        finally:
            for worker in self.workers:
                worker.end()


class _Worker:
    """One process, started when it is first needed, and again when it has died."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.pool: Any = None
        self.future: Future[PackEnd] | None = None
        self.process: Future[int] | None = None

    @property
    def is_idle(self) -> bool:
        return self.future is None or self.future.done()

    def start(self, task: Task) -> "_Order":
        from joblib.externals.loky import ProcessPoolExecutor

        if self.pool is None:
            self.pool = ProcessPoolExecutor(
                max_workers=1, env=self.environment, initializer=_ready
            )
        self.process = self.pool.submit(os.getpid)
        self.future = self.pool.submit(_Stoppable(task))
        return _Order(self, self.future)

    def ask_to_stop(self) -> None:
        if self.future is None or self.process is None or self.future.cancel():
            return
        if not self.future.done() and self.process.done() and self.process.exception() is None:
            os.kill(self.process.result(), signal.SIGTERM)

    def end(self) -> None:
        """Ends the process at once; the next task gets a new one."""
        if self.pool is not None:
            self.pool.shutdown(wait=True, kill_workers=True)
        self.pool = self.future = self.process = None


class _Stoppable:
    """A task that a signal ends, also one that came while the worker was between two tasks.

    There loky's own code runs, and garbage collection, which loses what a handler raises.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self) -> PackEnd:
        with _at_work:
            signal.signal(signal.SIGTERM, raise_stopped)
            try:
                if _told:
                    raise_stopped(_told[0], None)
                return self.task()
            finally:
                signal.signal(signal.SIGTERM, _note)


_at_work = threading.Lock()
"""Held while a task is under way."""
_told: list[int] = []
"""Signals that came between two tasks; the worker's process is ended after them."""


def _note(signal_number: int, frame: FrameType | None) -> None:
    _told.append(signal_number)


class _Order:
    """A task that a worker has."""

    def __init__(self, worker: _Worker, future: "Future[PackEnd]") -> None:
        self.worker, self.future = worker, future

    def end(self) -> PackEnd | None:
        if not self.future.done():
            return None
        from joblib.externals.loky.process_executor import BrokenProcessPool

        error = self.future.exception()
        if error is None:
            return self.future.result()
        if isinstance(error, BrokenProcessPool):
            self.worker.end()
            raise WorkerDiedError(_cause(error)) from error
        return PackEnd(TrainingFailedError(f"{type(error).__name__}: {error}"))

    def is_started(self) -> bool:
        return False  # loky tells of dead ones

    def drop(self) -> str:
        self.worker.end()
        return "a process of this machine"


def _cause(error: Exception) -> str:
    """How the process ended, of loky's message: `SIGKILL(-9)`; else the message's first line."""
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    return codes.group(1) if codes else str(error).partition("\n")[0]


def _ready() -> None:
    """Makes a new worker ready for its first pack.

    Ctrl-C and a hang-up reach a terminal's every process: workers leave it to the main one to tell
    them. What trains is imported here. A worker grows while it trains, and keeps base and tokens:
    loky takes one that grows by 300 MB for one that leaks, and would replace it after every pack.
    """
    import_module("joblib.externals.loky.process_executor")._USE_PSUTIL = False  # type: ignore[attr-defined]
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    handle_termination()
    signal.signal(signal.SIGTERM, _note)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    import_module("lora_sweep.execution.execute")


def _end_with(parent: int) -> None:
    """Ends this worker once the process that started it was killed: it would wait for ever.

    The pack under way is saved first, and its claim given back.
    """
    while os.getppid() == parent:
        time.sleep(ORPHAN_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    with _at_work:
        os._exit(0)
