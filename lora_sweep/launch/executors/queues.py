"""The queues that a job can wait in: Slurm's, and that of processes of this machine.

What became of a job is told, in this order, by the answer that it leaves, by `squeue`, and by
`sacct` where the cluster has it. Whether somebody trains its pack is told by the claim's heartbeat
(`execution/dispatch.py`), whatever the queue says.
"""

import logging
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from lora_sweep import slurm
from lora_sweep.errors import SettingError, WorkerDiedError
from lora_sweep.launch.executors.refusals import never_starts
from lora_sweep.slurm import GONE, SlurmJob

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Between two looks at the queue, for all jobs at once."""
ANSWER_SECONDS = 15.0
"""After its end a job's answer may be that late, on a network file system."""
SAVE_SECONDS, TELL_SECONDS = 120.0, 3.0
"""For the step under way when all jobs are to stop; they are told again and again meanwhile."""
TIMED_OUT = (
    "the step under way must end before the job does: a longer "
    "hydra.launcher.submitit.parameters.slurm_signal_delay_s or timeout_min, or a smaller "
    "hydra.launcher.pack_size helps"
)


class Queue(Protocol):
    """Where jobs wait, and run; `job` is submitit's."""

    def is_over(self, job: Any) -> bool:
        """Returns whether a job has left its answer, or has ended.

        Raises:
            WorkerDiedError: it has ended without.
            SettingError: it waits for what the cluster will never give it.
        """

    def check(self, job: Any) -> None:
        """Checks that a job that waits will be started some day.

        Raises:
            SettingError: it waits for what the cluster will never give it.
        """

    def is_started(self, job: Any) -> bool:
        """Returns whether its process is said to run."""

    def drop(self, job: Any) -> None:
        """Ends a job."""

    def stop(self, jobs: Sequence[Any]) -> None:
        """Has jobs save and end, and returns when they have, or when that takes too long."""


class SlurmQueue:
    """Slurm's, looked at for all jobs at once."""

    def __init__(self) -> None:
        """Asks nothing yet."""
        self._jobs: dict[str, SlurmJob] | None = None
        self._accounts: dict[str, SlurmJob | None] = {}
        self._looked_at = -float("inf")
        self._over_since: dict[str, float] = {}

    def find(self, job_id: str, *, anew: bool = False) -> SlurmJob | None:
        """Returns what is known of a job; None if Slurm does not answer.

        Args:
            job_id: Slurm's: `12`, or `12_3` in an array.
            anew: whether to ask, however short ago the last look was.
        """
        if anew or time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._jobs, self._accounts = slurm.jobs_in_queue(), {}
            self._looked_at = time.monotonic()
        if self._jobs is not None:
            # Those of an array that were cancelled before they started stand in one line.
            found = self._jobs.get(job_id) or self._jobs.get(job_id.partition("_")[0])
            if found is not None:
                return found
        accounts = self._in_accounts(job_id)
        if accounts is not None and accounts.is_over:
            return accounts
        return None if self._jobs is None else SlurmJob(GONE, "")

    def _in_accounts(self, job_id: str) -> SlurmJob | None:
        """What the accounts say of a job; asked once a look, for all of a cluster share them."""
        if job_id not in self._accounts:
            self._accounts[job_id] = slurm.states_in_accounts([job_id]).get(job_id)
        return self._accounts[job_id]

    def is_over(self, job: Any) -> bool:
        """Returns whether a job has left its answer; see `Queue`."""
        if has_answer(job):
            return True
        found, now = self.find(job.job_id), time.monotonic()
        if found is None or not found.is_over:
            self._over_since.pop(job.job_id, None)
            self.check(job)
            return False
        if now - self._over_since.setdefault(job.job_id, now) < ANSWER_SECONDS:
            return False
        del self._over_since[job.job_id]
        said = f"job {job.job_id}: {found.words}, see {job.paths.stderr}"
        raise (
            WorkerDiedError(said, TIMED_OUT) if found.state == "TIMEOUT" else WorkerDiedError(said)
        )

    def check(self, job: Any) -> None:
        """Checks that a job that waits will be started some day; see `Queue`."""
        found = self.find(job.job_id)
        if found is not None and found.is_waiting and (rule := never_starts(found.reason)):
            raise SettingError(f"{rule} of job {job.job_id}")

    def is_started(self, job: Any) -> bool:
        """Returns whether its process is said to run."""
        found = self.find(job.job_id)
        return found is not None and not found.is_waiting

    def drop(self, job: Any) -> None:
        """Ends a job."""
        slurm.cancel([job.job_id])

    def stop(self, jobs: Sequence[Any]) -> None:
        """Takes back the jobs that wait, and has the others save; a second signal ends them.

        A job that does not end in time is cancelled, and ends by the cluster's own rules.
        """
        ids = [job.job_id for job in jobs]
        if not ids:
            return
        try:
            slurm.cancel_waiting(ids)
            until = time.monotonic() + SAVE_SECONDS
            while left := self._left(ids):
                if time.monotonic() > until:
                    log.warning("cancelled, after waiting for them to save: jobs %s", _list(left))
                    break
                slurm.tell(left, signal.SIGTERM)
                time.sleep(TELL_SECONDS)
        finally:
            slurm.cancel(ids)  # also where a second signal came, or Slurm does not answer

    def _left(self, ids: Sequence[str]) -> list[str]:
        """Those whose processes are there; none if Slurm does not answer."""
        left = []
        for number, job in enumerate(ids):
            found = self.find(job, anew=number == 0)
            if found is None:
                log.warning("Slurm does not answer: jobs %s may still run (scancel)", _list(ids))
                return []
            if not found.is_over and found.state != "COMPLETING":
                left.append(job)
        return left


class LocalQueue:
    """Processes of this machine, which start at once; `job` knows its own process."""

    def is_over(self, job: Any) -> bool:
        """Returns whether the process has ended; see `Queue`."""
        return bool(job.done())

    def check(self, job: Any) -> None:
        """Finds nothing: processes start at once."""

    def is_started(self, job: Any) -> bool:
        """Returns False: the process's end is seen."""
        return False

    def drop(self, job: Any) -> None:
        """Ends a job."""
        job._process.send_signal(signal.SIGTERM)

    def stop(self, jobs: Sequence[Any]) -> None:
        """Has jobs save and end; a second signal leaves them to end by themselves."""
        while left := [job for job in jobs if not job.done()]:
            for job in left:
                self.drop(job)
            until = time.monotonic() + TELL_SECONDS
            while time.monotonic() < until and not all(job.done() for job in left):
                time.sleep(0.1)


def has_answer(job: Any) -> bool:
    """Returns whether a job has left its answer."""
    folder = job.paths.folder
    with suppress(OSError):  # not there yet, or another user's
        folder.chmod(folder.stat().st_mode)  # makes a network file system look anew
    return bool(job.paths.result_pickle.exists())


def _list(jobs: Sequence[str]) -> str:
    return ", ".join(jobs)
