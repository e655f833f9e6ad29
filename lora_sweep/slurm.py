"""Slurm's queue, asked and told by Slurm's own commands.

`squeue` knows every job that waits, runs, or has ended within the last minutes; `sacct`, which a
small cluster may not have, also those before. A command that is missing, or does not answer, is
no error here: the answer is then None or empty.
"""

import os
import re
import signal
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass

SECONDS = 60.0
"""As long as one command may take; a busy controller answers late."""
OVER = frozenset(
    (
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    )
)
"""States of jobs that come to nothing any more; one that is put back is PENDING again."""
WAITING = frozenset(
    (
        *("PENDING", "CONFIGURING", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
        *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
    )
)
"""States of jobs without a process; while one is CONFIGURING its nodes boot, for minutes."""
GONE = "no longer in the queue"
"""Said in place of a state of jobs that Slurm knows no more."""


@dataclass(frozen=True)
class SlurmJob:
    """What Slurm says of a job.

    Attributes:
        state: in Slurm's words: `PENDING`, `RUNNING`, `FAILED`, ...; or `GONE`.
        reason: why it waits, or how it ended; `None` in Slurm's word for none.
    """

    state: str
    reason: str

    @property
    def is_over(self) -> bool:
        """Whether none of its processes is left, and none will be started."""
        return self.state in OVER or self.state == GONE

    @property
    def is_waiting(self) -> bool:
        """Whether it has not been started, or will be again."""
        return self.state in WAITING

    @property
    def words(self) -> str:
        """State and reason, as people would say them."""
        known = self.reason not in ("", "None")
        return f"{self.state} ({self.reason})" if known else self.state


def jobs_in_queue() -> dict[str, SlurmJob] | None:
    """Returns this user's jobs, id -> what Slurm says; None if Slurm does not answer.

    An array's jobs are listed one by one: `12_0`, `12_1`.
    """
    user = f"--user={os.getuid()}"
    lines = _lines(["squeue", "--noheader", "--array", "--states=all", user, "--format=%i|%T|%r"])
    if lines is None:
        return None
    parts = [line.strip().split("|") for line in lines if line.count("|") == 2]
    return {job: SlurmJob(state, reason) for job, state, reason in parts}


def states_in_accounts(jobs: Collection[str]) -> dict[str, SlurmJob]:
    """Returns what Slurm's accounts say of jobs, of those that they know.

    Args:
        jobs: ids.
    """
    given = f"--jobs={','.join(sorted(jobs))}"
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State"]
    parts = [line.split("|") for line in _lines([*command, given]) or () if line.count("|") == 1]
    # «CANCELLED by 1000»: the first word is the state.
    return {job: SlurmJob(state.split()[0], "") for job, state in parts if state}


def own_job() -> str | None:
    """Returns the id of the job that this process is of, in `jobs_in_queue`; None for none."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def is_preempted(job: str) -> bool:
    """Returns whether a job runs only to the end of its grace time, since others need its place.

    Slurm puts such a job back if it is still there at the end, but not if it ends by itself. One
    that somebody cancels is not meant, though it gets the same signal. False if Slurm does not
    answer.

    Args:
        job: id.

    Source: Slurm 22.05.8, where this was tried: `GraceTime` of slurm.conf(5), `PreemptTime` of
    scontrol(1).
    """
    said = " ".join(_lines(["scontrol", "show", "job", job]) or ())
    is_running = re.search(r"\bJobState=RUNNING\b", said)
    return bool(is_running and re.search(r"\bPreemptTime=\d", said))


def partitions() -> list[str]:
    """Returns the names of the partitions; none if Slurm does not answer."""
    lines = _lines(["sinfo", "--noheader", "--format=%R"]) or []
    return sorted({line.strip() for line in lines})


def cancel(jobs: Sequence[str]) -> None:
    """Ends jobs: those that run get SIGTERM, and after the cluster's KillWait SIGKILL."""
    _lines(["scancel", *jobs])


def cancel_waiting(jobs: Sequence[str]) -> None:
    """Ends those jobs that have not started."""
    _lines(["scancel", "--state=PENDING", *jobs])


def tell(jobs: Sequence[str], number: signal.Signals) -> None:
    """Sends a signal to the processes of those jobs that run."""
    _lines(["scancel", f"--signal={number.name.removeprefix('SIG')}", *jobs])


def _lines(command: Sequence[str]) -> list[str] | None:
    """What a command prints; None if it fails or is not there."""
    try:
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()
