"""What becomes of a job, by what Slurm says. Its clock and words are given: no Slurm is needed."""

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lora_sweep import slurm
from lora_sweep.errors import SettingError, WorkerDiedError
from lora_sweep.launch.executors import queues
from lora_sweep.launch.executors.queues import ANSWER_SECONDS, LOOK_SECONDS, SlurmQueue
from lora_sweep.slurm import SlurmJob


class Cluster:
    """What Slurm would answer, and what it was told.

    Attributes:
        jobs: in its queue; None while it does not answer.
        accounts: that sacct knows of.
        now: seconds.
        n_looks: at the queue.
        n_asked: times that the accounts were asked.
        told: signals and cancellations.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, SlurmJob] | None = {}
        self.accounts: dict[str, SlurmJob] = {}
        self.now, self.n_looks, self.n_asked = 1000.0, 0, 0
        self.told: list[tuple[str, list[str]]] = []

    def look(self) -> dict[str, SlurmJob] | None:
        self.n_looks += 1
        return self.jobs

    def ask_accounts(self, jobs: list[str]) -> dict[str, SlurmJob]:
        self.n_asked += 1
        return self.accounts

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(slurm, "jobs_in_queue", made.look)
    monkeypatch.setattr(slurm, "states_in_accounts", made.ask_accounts)
    for name in ("cancel", "cancel_waiting"):
        told = lambda jobs, name=name: made.told.append((name, list(jobs)))  # noqa: E731
        monkeypatch.setattr(slurm, name, told)
    tell = lambda jobs, number: made.told.append((number.name, list(jobs)))  # noqa: E731
    monkeypatch.setattr(slurm, "tell", tell)
    clock = SimpleNamespace(monotonic=lambda: made.now, sleep=made.sleep)
    monkeypatch.setattr(queues, "time", clock)
    return made


@pytest.fixture
def job(tmp_path: Path) -> Any:
    """One as submitit has it, number 3 of array 12, without an answer."""
    answer = tmp_path / "result.pkl"
    paths = SimpleNamespace(folder=tmp_path, result_pickle=answer, stderr="12_3.err")
    return SimpleNamespace(job_id="12_3", paths=paths)


def later(queue: SlurmQueue, cluster: Cluster, job: Any, seconds: float) -> bool:
    cluster.now += seconds
    return queue.is_over(job)


@pytest.mark.parametrize("state", ["FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "COMPLETED"])
def test_job_that_ends_without_an_answer_has_died(cluster: Cluster, job: Any, state: str) -> None:
    queue = SlurmQueue()
    cluster.jobs = {"12_3": SlurmJob(state, "NonZeroExitCode")}
    assert not queue.is_over(job)  # its answer may be on the way
    with pytest.raises(WorkerDiedError, match=rf"job 12_3: {state} \(NonZeroExitCode\), see 12_3"):
        later(queue, cluster, job, ANSWER_SECONDS + 1)


def test_job_that_left_the_queue_has_died_without_accounts(cluster: Cluster, job: Any) -> None:
    queue = SlurmQueue()
    cluster.jobs = {"12_3": SlurmJob("RUNNING", "None")}
    assert not queue.is_over(job) and queue.is_started(job)
    cluster.jobs = {}
    assert not later(queue, cluster, job, LOOK_SECONDS + 1)
    with pytest.raises(WorkerDiedError, match="job 12_3: no longer in the queue"):
        later(queue, cluster, job, ANSWER_SECONDS + 1)


def test_job_that_left_the_queue_is_told_by_the_accounts(cluster: Cluster, job: Any) -> None:
    queue = SlurmQueue()
    cluster.accounts = {"12_3": SlurmJob("TIMEOUT", "")}
    queue.is_over(job)
    with pytest.raises(WorkerDiedError, match="job 12_3: TIMEOUT") as died:
        later(queue, cluster, job, ANSWER_SECONDS + 1)
    assert "slurm_signal_delay_s" in died.value.remedy


def test_answer_counts_more_than_the_queue(cluster: Cluster, job: Any) -> None:
    cluster.jobs = {"12_3": SlurmJob("FAILED", "")}
    queue = SlurmQueue()
    assert not queue.is_over(job)
    job.paths.result_pickle.write_bytes(b"")
    assert later(queue, cluster, job, ANSWER_SECONDS + 1)


def test_job_that_is_put_back_lives_on(cluster: Cluster, job: Any) -> None:
    queue = SlurmQueue()
    cluster.jobs = {"12_3": SlurmJob("PREEMPTED", "")}
    assert not queue.is_over(job)
    cluster.jobs = {"12_3": SlurmJob("PENDING", "BeginTime")}
    assert not later(queue, cluster, job, LOOK_SECONDS + 1)
    assert not later(queue, cluster, job, 10 * ANSWER_SECONDS)
    assert not queue.is_started(job)


def test_slurm_that_does_not_answer_ends_no_job(cluster: Cluster, job: Any) -> None:
    cluster.jobs = None
    queue = SlurmQueue()
    assert not queue.is_over(job)
    assert not later(queue, cluster, job, 10 * ANSWER_SECONDS)
    assert queue.find("12_3") is None and not queue.is_started(job)


def test_jobs_of_an_array_cancelled_while_they_wait_stand_in_one_line(cluster: Cluster) -> None:
    cluster.jobs = {"12_0": SlurmJob("RUNNING", "None"), "12": SlurmJob("CANCELLED", "None")}
    queue = SlurmQueue()
    found = [queue.find(job) for job in ("12_0", "12_7")]
    assert [one is not None and one.is_over for one in found] == [False, True]


def test_one_look_serves_all_jobs_for_a_while(cluster: Cluster) -> None:
    queue = SlurmQueue()
    for number in range(5):
        queue.find(f"12_{number}")
    assert cluster.n_looks == 1
    cluster.now += LOOK_SECONDS + 1
    queue.find("12_0")
    assert cluster.n_looks == 2


@pytest.mark.parametrize("jobs", [{}, None], ids=["gone", "away"])
def test_accounts_are_asked_once_a_look(
    cluster: Cluster, job: Any, jobs: dict[str, SlurmJob] | None
) -> None:
    cluster.jobs, queue = jobs, SlurmQueue()
    for _ in range(5):
        assert not later(queue, cluster, job, 0.1)
    assert (cluster.n_looks, cluster.n_asked) == (1, 1)
    later(queue, cluster, job, LOOK_SECONDS + 1)
    assert (cluster.n_looks, cluster.n_asked) == (2, 2)


def test_job_that_never_starts_ends_the_command(cluster: Cluster, job: Any) -> None:
    cluster.jobs = {"12_3": SlurmJob("PENDING", "PartitionTimeLimit")}
    with pytest.raises(SettingError, match=r"timeout_min must be within .* of job 12_3"):
        SlurmQueue().is_over(job)


def test_stop_has_running_jobs_save_until_they_are_gone(
    cluster: Cluster, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.jobs = {"12_3": SlurmJob("RUNNING", "None")}

    def sleep(seconds: float) -> None:
        cluster.now += seconds
        if cluster.now > 1008:
            cluster.jobs = {"12_3": SlurmJob("COMPLETING", "None")}

    monkeypatch.setattr(queues.time, "sleep", sleep)
    SlurmQueue().stop([job])
    assert cluster.told[0] == ("cancel_waiting", ["12_3"])
    assert {name for name, _ in cluster.told[1:-1]} == {signal.SIGTERM.name}
    assert len(cluster.told) > 3 and cluster.told[-1] == ("cancel", ["12_3"])


@pytest.mark.parametrize(
    "jobs", [None, {"12_3": SlurmJob("RUNNING", "None")}], ids=["away", "hung"]
)
def test_stop_never_waits_without_end(
    cluster: Cluster, job: Any, jobs: dict[str, SlurmJob] | None
) -> None:
    cluster.jobs = jobs
    SlurmQueue().stop([job])
    assert cluster.now < 1000 + 2 * queues.SAVE_SECONDS
    assert cluster.told[-1] == ("cancel", ["12_3"])


def test_second_signal_cancels_at_once(
    cluster: Cluster, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    cluster.jobs = {"12_3": SlurmJob("RUNNING", "None")}
    monkeypatch.setattr(queues.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SlurmQueue().stop([job])
    assert cluster.told[-1] == ("cancel", ["12_3"])
