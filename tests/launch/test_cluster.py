"""A real Slurm of one node, without accounting, started for these tests."""

import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sweeps import TORTURE, Command, end, lines_with, text_of, wait_for

from lora_sweep.config.store import CONF
from lora_sweep.errors import SettingError, WorkerDiedError
from lora_sweep.execution.protocols import Handle, PackEnd
from lora_sweep.launch.executors.submitit import SubmititExecutor
from lora_sweep.store.pack_jobs import PackJobs
from lora_sweep.words import counted
from tools.slurm_cluster import SlurmCluster, missing_programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_programs()),
        reason="Slurm is not installed (Debian: apt-get install slurm-wlm munge)",
    ),
]
LONG = "the long version: make torture"
PLACE = "hydra.launcher.submitit.parameters"
SMALL = (f"{PLACE}.cpus_per_task=1", f"{PLACE}.mem_gb=1")
Sweep = Callable[..., Command]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster(cpus=2) as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., SubmititExecutor]]:
    """Makes the executor of a preset; its jobs are ended."""
    all_made: list[SubmititExecutor] = []

    def make(*overrides: str, preset: str = "pack_slurm_cpu") -> SubmititExecutor:
        with initialize_config_dir(CONF):
            given = [f"hydra/launcher={preset}", *overrides]
            config = compose("config", given, return_hydra_config=True)
        settings: Any = OmegaConf.to_container(config.hydra.launcher.submitit)
        all_made.append(SubmititExecutor(tmp_path / "sweep", **settings))
        return all_made[-1]

    yield make
    for executor in all_made:
        executor.stop()


def ended(handle: Handle, seconds: float = 120.0) -> PackEnd:
    until = time.monotonic() + seconds
    while (end := handle.end()) is None:
        assert time.monotonic() < until
        time.sleep(0.2)
    return end


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            f"{PLACE}.gpus_per_node=null",
            r"slurm_partition must be a partition of the cluster \(main, urgent\), but got gpu",
        ),
        (f"{PLACE}.slurm_partition=main", r"gpus_per_node must be what .* but got 1: Invalid"),
    ],
    ids=["partition", "gpu"],
)
def test_what_the_cluster_lacks_is_one_line(
    made: Callable[..., SubmititExecutor], override: str, line: str
) -> None:
    executor = made(override, preset="pack_slurm")
    with pytest.raises(SettingError, match=line) as refused:
        executor.submit([PackEnd])
    assert "\n" not in str(refused.value)


def test_cores_that_no_node_has_end_the_command(made: Callable[..., SubmititExecutor]) -> None:
    (handle,) = made(f"{PLACE}.cpus_per_task=64").submit([PackEnd])
    with pytest.raises(SettingError, match=r"cpus_per_task, mem_gb, .* must be what a node"):
        ended(handle, 30)


def test_job_that_dies_is_told_within_a_minute(
    made: Callable[..., SubmititExecutor], capfd: pytest.CaptureFixture[str]
) -> None:
    living, dying = made(*SMALL).submit([PackEnd, os.abort])
    assert ended(living) == PackEnd()
    with pytest.raises(WorkerDiedError, match=r"job \d+_1: FAILED"):
        ended(dying, 60)
    assert "sacct" not in "".join(capfd.readouterr())


def test_stop_ends_jobs_that_run_and_jobs_that_wait(
    made: Callable[..., SubmititExecutor], cluster: SlurmCluster
) -> None:
    executor = made(*SMALL)
    handles = executor.submit([functools.partial(time.sleep, 600)] * 3)  # there are two cores
    wait_for(lambda: any(handle.is_started() for handle in handles), 60)
    executor.stop()
    assert cluster.run("squeue", "--noheader", "--states=PENDING,RUNNING") == ""


@pytest.fixture
def sweep(tmp_path: Path, tiny_settings: list[str]) -> Sweep:
    """Two runs as jobs of the cluster, not queued yet: one job, in the long version one each."""
    size = f"hydra.launcher.pack_size={1 if TORTURE else 2}"  # a job imports for seconds
    own = ("hydra/launcher=pack_slurm_cpu", *SMALL, size, "seed=0,1")

    def command(*more: str) -> Command:
        return Command(tmp_path / "sweep", "-m", *tiny_settings, *own, *more)

    return command


def test_command_leaves_and_the_last_job_writes_the_report(sweep: Sweep) -> None:
    command = sweep("hydra.launcher.wait=false")
    code, output = command.run()
    assert code == 0, output
    jobs = PackJobs(command.sweep_dir).all()
    assert f"{counted(len(jobs), 'pack')} in the queue, and not waited for" in output
    assert len(jobs) == (2 if TORTURE else 1)
    (array,) = {job.partition("_")[0] for job in jobs.values()}
    assert f"cancel: scancel {array}" in output
    report = command.sweep_dir / "report.md"
    wait_for(report.exists)
    assert "2 runs in 1 cell: 2 finished" in text_of(report)
    code, output = sweep().run()  # joins, and finds all done
    assert code == 0 and "is finished: skipped" in output, output


@pytest.mark.skipif(not TORTURE, reason=LONG)
def test_job_is_killed_then_told_of_its_limit_and_comes_to_its_end(
    sweep: Sweep, cluster: SlurmCluster
) -> None:
    command = sweep("training.epochs=400")
    process = command.start()
    wait_for(lambda: len(command.checkpoints()) > 3)
    claim = sorted(command.sweep_dir.glob(".packs/*.claim"))[0]
    before = PackJobs(command.sweep_dir).job(claim.stem)
    (line,) = lines_with(text_of(claim), "pid=")
    os.kill(int(line.removeprefix("pid=")), signal.SIGKILL)
    wait_for(lambda: PackJobs(command.sweep_dir).job(claim.stem) not in (None, before))
    wait_for(lambda: "go on after step" in _logs(command))
    job = PackJobs(command.sweep_dir).job(claim.stem)
    cluster.run("scancel", "--signal=USR2", str(job))
    output, _ = process.communicate(timeout=900)  # Slurm waits two minutes before it starts again
    assert process.returncode == 0, output
    assert f"while it trained {claim.stem}: queued again, try 2 of 3" in output
    assert _logs(command).count("go on after step") == 2
    assert "stopped after step" in _logs(command)


def _logs(command: Command) -> str:
    return "".join(text_of(path) for path in command.sweep_dir.glob("*/run.log"))


@pytest.mark.skipif(not TORTURE, reason=LONG)
def test_command_that_is_killed_is_joined_by_the_next(sweep: Sweep, cluster: SlurmCluster) -> None:
    command = sweep("training.epochs=100")
    process = command.start()
    wait_for(lambda: len(PackJobs(command.sweep_dir).all()) == 2)
    process.kill()
    end(process)
    queued = PackJobs(command.sweep_dir).all()
    code, output = command.run()
    assert code == 0 and "worker died" not in output, output
    ids = cluster.run("squeue", "--noheader", "--array", "--states=all", "--format=%i").split()
    assert set(queued.values()) <= set(ids)
    own = [one for one in ids if int(one.partition("_")[0]) >= int(min(queued.values())[:-2])]
    assert len(own) == 2  # no job was queued a second time


def test_cluster_program_ends_its_daemons(cluster: SlurmCluster) -> None:
    with SlurmCluster(cpus=1) as other:
        pids = [process.pid for process in other._started]
        assert "idle" in other.run("sinfo")
    assert not other.folder.exists()
    listed = subprocess.run(
        ["ps", "-o", "pid=", "-p", ",".join(map(str, pids))], check=False, capture_output=True
    )
    assert listed.stdout == b""
