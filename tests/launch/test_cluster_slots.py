"""A real Slurm that ends jobs early: time limits, preemption, accounts; and a search there."""

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from sweeps import TORTURE, Command, end, lines_with, text_of, wait_for

from lora_sweep.execution.protocols import PackEnd, Stop, Task
from lora_sweep.interrupt import StoppedError
from lora_sweep.launch.executors.queues import SlurmQueue
from lora_sweep.launch.executors.submitit import SubmititExecutor
from lora_sweep.store.pack_jobs import PackJobs
from lora_sweep.store.search_record import read_search
from tools.slurm_cluster import SlurmCluster, missing_programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TORTURE, reason="the long version: make torture"),
    pytest.mark.skipif(
        bool(missing_programs()),
        reason="Slurm is not installed (Debian: apt-get install slurm-wlm munge)",
    ),
]
HAS_ACCOUNTS = not missing_programs(accounting=True)
needs_accounts = pytest.mark.skipif(
    not HAS_ACCOUNTS,
    reason="no accounts (Debian: apt-get install mariadb-server slurmdbd slurm-wlm-mysql-plugin)",
)
PLACE = "hydra.launcher.submitit.parameters"
ON_SLURM = ("hydra/launcher=pack_slurm_cpu", f"{PLACE}.cpus_per_task=1", f"{PLACE}.mem_gb=1")
A_MINUTE = (f"{PLACE}.timeout_min=1", f"{PLACE}.slurm_signal_delay_s=5")
SECONDS = 2400.0
Sweep = Callable[..., Command]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[SlurmCluster]:
    with (
        SlurmCluster(cpus=2, accounting=HAS_ACCOUNTS) as started,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started


@pytest.fixture
def sweep(tmp_path: Path, tiny_settings: list[str]) -> Sweep:
    """Two runs in a pack, in a folder of that name, not started yet."""

    def command(name: str, *more: str) -> Command:
        own = ("seed=0,1", "hydra.launcher.pack_size=2", "training.epochs=100")
        return Command(tmp_path / name, "-m", *tiny_settings, *own, *more)

    return command


@pytest.fixture
def undisturbed(sweep: Sweep) -> Callable[..., dict[str, str]]:
    """More arguments -> the numbers that the sweep has in one process."""

    def numbers(*more: str) -> dict[str, str]:
        command = sweep("straight", *more)
        code, output = command.run()
        assert code == 0, output
        return command.numbers()

    return numbers


def _logs(command: Command) -> str:
    return "".join(text_of(path) for path in command.sweep_dir.glob("*/run.log"))


def test_training_of_several_time_slots_ends_undisturbed(
    sweep: Sweep, undisturbed: Callable[..., dict[str, str]]
) -> None:
    longer = "training.epochs=600"  # more than Slurm's shortest slot, of a minute
    command = sweep("slots", longer, *ON_SLURM, *A_MINUTE)
    process = command.start()
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    assert "worker died" not in output
    assert _logs(command).count("go on after step") >= 2  # once in the log of each run
    assert command.numbers() == undisturbed(longer)


class _WaitsForItsLimit:
    """A task that never comes to a step; sent as its code, for a job can't import this file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (cloudpickle.dumps(_waiting()),)


def _waiting() -> Task:
    def task() -> PackEnd:
        try:
            threading.Event().wait(600)
        except StoppedError as stop:
            return PackEnd(stopped=Stop(stop.signal_number, str(stop), stop.n_steps))
        return PackEnd()

    return task


def test_slot_without_a_step_ends_with_what_to_change(tmp_path: Path) -> None:
    parameters = {"timeout_min": 1, "mem_gb": 1, "slurm_signal_delay_s": 5}
    executor = SubmititExecutor(tmp_path, cluster="slurm", max_queued=1, parameters=parameters)
    (handle,) = executor.submit([_WaitsForItsLimit()])  # type: ignore[list-item]
    ends: list[PackEnd | None] = []

    def is_over() -> bool:
        ends.append(handle.end())
        return ends[-1] is not None

    wait_for(is_over)
    assert ends[-1] is not None
    said = "took no step in 2 jobs: raise hydra.launcher.submitit.parameters.timeout_min"
    assert said in str(ends[-1].error)


def _preempt(cluster: SlurmCluster) -> None:
    """Has a job of the urgent partition take the whole node for a moment."""
    job = ("--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 1")
    cluster.run("sbatch", "--wait", *job)


def test_preempted_job_is_put_back_and_ends_undisturbed(
    sweep: Sweep, undisturbed: Callable[..., dict[str, str]], cluster: SlurmCluster
) -> None:
    command = sweep("preempted", *ON_SLURM, "hydra.launcher.wait=false")
    code, output = command.run()  # leaves, so that nobody else would queue the pack again
    assert code == 0, output
    wait_for(lambda: bool(command.checkpoints()))
    _preempt(cluster)
    assert _logs(command).count("stopped after step") == 2  # once in the log of each run
    wait_for(lambda: _logs(command).count("go on after step") == 2)
    _preempt(cluster)
    assert _logs(command).count("stopped after step") == 4
    wait_for((command.sweep_dir / "report.md").exists, SECONDS)
    assert command.numbers() == undisturbed()


@needs_accounts
def test_worker_that_is_killed_is_told_by_the_accounts(
    sweep: Sweep, cluster: SlurmCluster
) -> None:
    command = sweep("killed", *ON_SLURM)
    process = command.start()
    wait_for(lambda: len(command.checkpoints()) > 3)  # two of each run
    (claim,) = command.sweep_dir.glob(".packs/*.claim")
    (job,) = PackJobs(command.sweep_dir).all().values()
    (line,) = lines_with(text_of(claim), "pid=")
    os.kill(int(line.removeprefix("pid=")), signal.SIGKILL)
    code, output = end(process)
    assert code == 0 and "queued again, try 2 of 3" in output, output
    wait_for(lambda: job not in cluster.run("squeue", "--noheader", "--states=all", "--array"))
    found = SlurmQueue().find(job)
    assert found is not None and found.state == "FAILED"
    assert _logs(command).count("go on after step") == 2  # once in the log of each run


SEARCH: Sequence[str] = (
    *("search=rank_range", "rank.min=interval(1,3)", "rank.max=interval(6,9)", "n_seeds=1"),
    *("rank.average=interval(4,5)", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=4"),
    *("hydra.sweeper.confirm.n_best=0", "training.epochs=10"),
)


def test_search_is_killed_and_comes_to_its_trials(
    tmp_path: Path, tiny_settings: list[str]
) -> None:
    settings = [one for one in tiny_settings if not one.startswith("rank.")]
    command = Command(tmp_path / "s", "-m", *settings, *SEARCH, *ON_SLURM)
    process = command.start()

    def statuses() -> list[str]:
        record = read_search(command.sweep_dir)
        return [] if record is None else [trial.status for trial in record.trials]

    wait_for(lambda: len(statuses()) == 3 and "finished" in statuses(), SECONDS)
    assert "running" in statuses()  # one is told, and the next begun, while another trains
    process.kill()
    end(process)
    code, output = command.run()
    assert code == 0, output
    assert "of 4 trials are there" in output
    assert statuses() == ["finished"] * 4
    assert len(command.runs) == 4
