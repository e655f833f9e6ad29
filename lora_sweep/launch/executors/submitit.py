"""The executor `submitit`: packs as jobs in a Slurm queue, or as processes here, to try it out.

A job that is preempted or reaches its time limit saves after the step under way, is put back in
the queue and goes on from there. The packs handed out together are one job array.
"""

import logging
import os
import pickle
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lora_sweep import slurm
from lora_sweep.errors import (
    SettingError,
    TrainingFailedError,
    WorkerDiedError,
    WorkersAwayError,
)
from lora_sweep.execution.protocols import Handle, PackEnd, Stop, Task
from lora_sweep.interrupt import told_by_cluster
from lora_sweep.launch.executors.queues import LocalQueue, Queue, SlurmQueue, has_answer
from lora_sweep.launch.executors.refusals import is_away, refusal
from lora_sweep.rules import require
from lora_sweep.store.pack_jobs import PackJobs
from lora_sweep.words import counted

CLUSTERS = ("slurm", "local", "auto")
MOST_IDLE_SLOTS = 2
"""Time slots in a row without a step; then a pack does not get on."""
SETTLE_SECONDS = 2.0
"""After which Slurm has seen that it can never start a job."""
_MOST_SLOTS = 1_000_000
"""A pack that gets on is put back as often as it takes."""


def nothing() -> None:
    """Does nothing at a job's end."""


class SubmititExecutor:
    """A queue of jobs, each a pack.

    Attributes:
        capacity: jobs that may stand in the queue at once, running or waiting.
    """

    def __init__(
        self,
        sweep_dir: Path,
        *,
        cluster: str,
        max_queued: int,
        parameters: Mapping[str, Any],
        at_end: Callable[[], None] = nothing,
    ) -> None:
        """Asks the queue for nothing yet.

        Args:
            sweep_dir: its `.submitit` gets scripts, answers and output of the jobs.
            cluster: `slurm`, `local` for processes here, or `auto` for Slurm if it is there.
            max_queued: jobs in the queue at once, at least 1: the largest job array.
            parameters: as submitit's `AutoExecutor.update_parameters` takes them.
            at_end: called by each job at its end; picklable.

        Raises:
            SettingError: a setting breaks its rule, or there is no such cluster here.
        """
        place = "hydra.launcher.submitit"
        require(cluster in CLUSTERS, f"{place}.cluster", ", ".join(CLUSTERS), cluster)
        rule = "an integer of at least 1"
        is_bound = isinstance(max_queued, int) and max_queued >= 1
        require(is_bound, f"{place}.max_queued", rule, max_queued)
        self.capacity = max_queued
        self.folder, self.parameters, self.at_end = sweep_dir / ".submitit", parameters, at_end
        self.sender = _sender(self.folder, cluster, parameters)
        self.queue: Queue = SlurmQueue() if self.sender.cluster == "slurm" else LocalQueue()
        self.pack_jobs = PackJobs(sweep_dir)
        self.jobs: list[Any] = []

    def submit(self, tasks: Sequence[Task]) -> list[Handle]:
        """Queues the tasks, as one job array.

        Raises:
            SettingError: the cluster refuses what the parameters ask for.
            WorkersAwayError: the cluster does not answer.
        """
        from submitit.core.utils import FailedJobError

        calls = [_SlotTask(task, self.at_end) for task in tasks]
        try:
            with _on_its_own(self.folder / "controllers.log"):
                jobs = self.sender.submit_array(calls)
        except FailedJobError as error:
            if is_away(str(error)):
                raise WorkersAwayError(f"Slurm does not answer: {_last_line(error)}") from error
            raise SettingError(refusal(str(error), self.parameters)) from error
        self.jobs = [*_without_answer(self.jobs), *jobs]
        return [self._handle(job, task) for job, task in zip(jobs, tasks, strict=True)]

    def resume(self, pack: str) -> Handle | None:
        """Returns the handle of a pack whose job waits, runs, or has left an answer."""
        job_id = self.pack_jobs.job(pack)
        if job_id is None or not isinstance(self.queue, SlurmQueue):
            return None
        from submitit import SlurmJob

        job: Any = SlurmJob(folder=self.folder / "%j", job_id=job_id)
        found = self.queue.find(job_id)
        if not has_answer(job) and found is not None and found.is_over:
            self.pack_jobs.forget(pack)
            return None
        self.jobs.append(job)
        return _Queued(job, self.queue, lambda: self.pack_jobs.forget(pack))

    def describe_queue(self) -> str:
        """Returns how many packs wait or are trained, and how to look, cancel and join.

        Raises:
            SettingError: the cluster will never start one of them.
        """
        time.sleep(SETTLE_SECONDS)
        jobs = _without_answer(self.jobs)
        for job in jobs:
            self.queue.check(job)
        ids = sorted({job.job_id.partition("_")[0] for job in jobs})
        sweep_dir = shlex.quote(str(self.folder.parent))
        lines = [
            f"{counted(len(jobs), 'pack')} in the queue, and not waited for",
            f"look:   python -m lora_sweep.status {sweep_dir}",
            *([f"cancel: scancel {' '.join(ids)}"] if ids else []),
            "join:   the same command with hydra.launcher.wait=true",
        ]
        return "\n".join(lines)

    def stop(self) -> None:
        """Takes back the jobs that wait, and has the others save and stop."""
        jobs, self.jobs = self.jobs, []
        self.queue.stop(_without_answer(jobs))

    def _handle(self, job: Any, task: Task) -> Handle:
        pack = getattr(task, "pack", None)
        if pack is None or not isinstance(self.queue, SlurmQueue):
            return _Queued(job, self.queue, lambda: None)
        self.pack_jobs.note(pack, job.job_id)
        return _Queued(job, self.queue, lambda: self.pack_jobs.forget(pack))


@contextmanager
def _on_its_own(errors: Path) -> Iterator[None]:
    """Lets processes that start meanwhile outlive this one's terminal.

    A job of `cluster=local` is watched by a process of submitit's. Ctrl-C and a hang-up, which
    reach a terminal's every process, are left to this one to tell; and the traceback in which
    the other ends when its job is stopped goes into a file.
    """
    errors.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    own = os.dup(2)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        with errors.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _SlotTask:
    """A task that trains for a time slot, and may be put back in the queue for the next one.

    What is to be done is kept as bytes. A job hears of its cluster's signals once submitit has
    loaded this object; what the task imports takes seconds more.
    """

    def __init__(self, task: Task, at_end: Callable[[], None]) -> None:
        self.content = pickle.dumps((task, at_end))
        self.n_idle_slots = 0

    def __call__(self) -> PackEnd:
        """Runs in the job; one that was told to end leaves no answer: the queue says the rest."""
        theirs: Any = signal.getsignal(signal.SIGUSR2)  # submitit's: puts the job back
        with told_by_cluster() as notice:
            with notice.only_noted():
                task, at_end = pickle.loads(self.content)
            number = notice.signal_number
            end: PackEnd = task() if number is None else PackEnd(stopped=Stop(number, _EARLY, 0))
        log = logging.getLogger("submitit")  # whose lines are the job's output
        if end.stopped is not None:
            log.warning("%s", end.stopped.said)
            return self._end_early(end.stopped, theirs)
        try:
            at_end()
        except Exception:  # the pack is trained all the same
            log.exception("what follows the pack failed")
        return end

    def _end_early(self, stop: Stop, put_back: Any) -> PackEnd:
        """Puts the job back in the queue if the cluster ends it, and ends; returns only why not.

        Args:
            stop: what it was told.
            put_back: submitit's handler of SIGUSR2, which exits.
        """
        own = slurm.own_job()
        is_preempted = own is not None and slurm.is_preempted(own)
        is_used_up = stop.signal_number == signal.SIGUSR2 and not is_preempted
        if is_used_up:
            self.n_idle_slots = 0 if stop.n_steps else self.n_idle_slots + 1
        if self.n_idle_slots == MOST_IDLE_SLOTS:
            return PackEnd(TrainingFailedError(_NO_PROGRESS))
        if (is_preempted or is_used_up) and callable(put_back):
            put_back(signal.SIGUSR2, None)
        sys.exit(128 + stop.signal_number)

    def checkpoint(self) -> Any:
        """Called by submitit before a job is put back."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


_EARLY = "stopped before the training began"
_NO_PROGRESS = (
    f"a pack must get on within its job's time limit, but took no step in {MOST_IDLE_SLOTS} jobs: "
    "raise hydra.launcher.submitit.parameters.timeout_min, or lower hydra.launcher.pack_size or "
    "training.batch_size"
)


class _Queued:
    """A job in the queue."""

    def __init__(self, job: Any, queue: Queue, forget: Callable[[], None]) -> None:
        self.job, self.queue, self.forget = job, queue, forget

    def end(self) -> PackEnd | None:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            if not self.queue.is_over(self.job):
                return None
            end: PackEnd = self.job.result()
        except FailedJobError as error:  # it raised: its package is missing, say
            end = PackEnd(TrainingFailedError(_last_line(error)))
        except UncompletedJobError as error:
            self.forget()
            raise WorkerDiedError(f"job {self.job.job_id}, {self.job.state}") from error
        except WorkerDiedError:
            self.forget()
            raise
        self.forget()
        return end

    def is_started(self) -> bool:
        return self.queue.is_started(self.job)

    def drop(self) -> str:
        self.forget()
        self.queue.drop(self.job)
        return f"job {self.job.job_id}"


def _sender(folder: Path, cluster: str, parameters: Mapping[str, Any]) -> Any:
    """The package's own executor.

    Raises:
        SettingError: there is no Slurm here, or a parameter that submitit does not know.
    """
    from submitit import AutoExecutor

    own = AutoExecutor.which() if cluster == "auto" else cluster
    try:
        sender = AutoExecutor(
            folder / "%j", cluster=own, **{f"{own}_max_num_timeout": _MOST_SLOTS}
        )
        sender.update_parameters(**parameters)
    except RuntimeError as error:
        raise SettingError(
            f"hydra.launcher.submitit.cluster must be there, but got {cluster}: {error}"
        ) from error
    except (NameError, ValueError) as error:
        raise SettingError(
            f"hydra.launcher.submitit.parameters must be submitit's, but got {error}"
        ) from error
    return sender


def _without_answer(jobs: Sequence[Any]) -> list[Any]:
    return [job for job in jobs if not has_answer(job)]


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
