"""The executor `submitit`: packs as jobs in a Slurm queue, or as processes here, to try it out.

A job that is preempted or reaches its time limit is put back in the queue by submitit, and goes
on from its checkpoints. The packs handed out together are one job array.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lora_sweep.errors import SettingError, TrainingFailedError, WorkerDiedError
from lora_sweep.execution.protocols import Handle, PackEnd, Task
from lora_sweep.rules import require

CLUSTERS = ("slurm", "local", "auto")


class SubmititExecutor:
    """A queue of jobs, each a pack.

    Attributes:
        capacity: jobs that may stand in the queue at once, running or waiting.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cluster: str,
        max_queued: int,
        max_num_timeout: int,
        parameters: Mapping[str, Any],
    ) -> None:
        """Asks the queue for nothing yet.

        Args:
            folder: for scripts, answers and output of the jobs.
            cluster: `slurm`, `local` for processes here, or `auto` for Slurm if it is there.
            max_queued: jobs in the queue at once, at least 1: the largest job array.
            max_num_timeout: how often a job that reaches its time limit is put back.
            parameters: as submitit's `AutoExecutor.update_parameters` takes them.

        Raises:
            SettingError: a setting breaks its rule, or there is no such cluster here.
        """
        place = "hydra.launcher.submitit"
        require(cluster in CLUSTERS, f"{place}.cluster", ", ".join(CLUSTERS), cluster)
        rule = "an integer of at least 1"
        is_bound = isinstance(max_queued, int) and max_queued >= 1
        require(is_bound, f"{place}.max_queued", rule, max_queued)
        self.capacity = max_queued
        self.folder = folder
        self.queue = _queue(folder, cluster, max_num_timeout, parameters)
        self.jobs: list[Any] = []

    def submit(self, tasks: Sequence[Task]) -> list[Handle]:
        """Queues the tasks, as one job array."""
        self.jobs = [job for job in self.jobs if not job.done()]
        with _errors_into(self.folder / "controllers.log"):
            jobs = self.queue.submit_array([_Resubmitted(task) for task in tasks])
        self.jobs += jobs
        return [_Queued(job) for job in jobs]

    def stop(self) -> None:
        """Cancels all jobs; what was saved at their last evaluation counts."""
        for job in self.jobs:
            job.cancel(check=False)
        for job in self.jobs:
            job.wait()
        self.jobs = []


@contextmanager
def _errors_into(path: Path) -> Iterator[None]:
    """Lets processes that start meanwhile write their stderr into a file.

    A job of `cluster=local` is watched by a process of submitit's, which ends in a traceback when
    the job is cancelled: nothing for the terminal.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    own = os.dup(2)
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


class _Resubmitted:
    """A task that submitit may put back in the queue as it is."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self) -> PackEnd:
        return self.task()

    def checkpoint(self) -> Any:
        """Called by submitit before a job is put back."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class _Queued:
    """A job in the queue."""

    def __init__(self, job: Any) -> None:
        self.job = job

    def end(self) -> PackEnd | None:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        if not self.job.done():
            return None
        try:
            end: PackEnd = self.job.result()
            return end
        except FailedJobError as error:  # it raised: its package is missing, say
            return PackEnd(TrainingFailedError(str(error).strip().splitlines()[-1]))
        except UncompletedJobError as error:
            raise WorkerDiedError(f"job {self.job.job_id}, {self.job.state}") from error


def _queue(folder: Path, cluster: str, max_num_timeout: int, parameters: Mapping[str, Any]) -> Any:
    """The package's own executor.

    Raises:
        SettingError: there is no Slurm here, or a parameter that submitit does not know.
    """
    from submitit import AutoExecutor

    own = AutoExecutor.which() if cluster == "auto" else cluster
    try:
        queue = AutoExecutor(
            folder / "%j", cluster=own, **{f"{own}_max_num_timeout": max_num_timeout}
        )
        queue.update_parameters(**parameters)
    except RuntimeError as error:
        raise SettingError(
            f"hydra.launcher.submitit.cluster must be there, but got {cluster}: {error}"
        ) from error
    except (NameError, ValueError) as error:
        raise SettingError(
            f"hydra.launcher.submitit.parameters must be submitit's, but got {error}"
        ) from error
    return queue
