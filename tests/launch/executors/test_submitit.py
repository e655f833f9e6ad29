"""The Slurm queue: the script that is really submitted, and its bounds. No Slurm is needed."""

import dataclasses
import functools
import os
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lora_sweep.config.store import CONF
from lora_sweep.errors import SettingError, WorkersAwayError
from lora_sweep.execution.protocols import PackEnd, Stop, Task
from lora_sweep.launch.executors import submitit
from lora_sweep.launch.executors.submitit import (
    MOST_IDLE_SLOTS,
    SubmititExecutor,
    _SlotTask,
    nothing,
)
from lora_sweep.slurm import SlurmJob
from lora_sweep.store.pack_jobs import PackJobs


def _train() -> PackEnd:
    return PackEnd()


def preset(*overrides: str, name: str = "pack_slurm") -> dict[str, Any]:
    """The settings of `hydra/launcher=NAME`."""
    with initialize_config_dir(CONF):
        config = compose(
            "config", [f"hydra/launcher={name}", *overrides], return_hydra_config=True
        )
    settings: Any = OmegaConf.to_container(config.hydra.launcher.submitit)
    return dict(settings)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands named like Slurm's; the folder where `sbatch` leaves the scripts it gets."""
    commands, scripts = tmp_path / "bin", tmp_path / "scripts"
    commands.mkdir()
    scripts.mkdir()
    (commands / "sbatch").write_text(
        f'#!/bin/sh\ncp "$1" {scripts}/\necho Submitted batch job 42\n'
    )
    (commands / "srun").write_text("#!/bin/sh\n")
    for command in commands.iterdir():
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    return scripts


def submitted(slurm: Path, folder: Path, n_packs: int, *overrides: str) -> list[str]:
    """Lines of the script that asks for so many packs."""
    SubmititExecutor(folder, **preset(*overrides)).submit([_train] * n_packs)
    (script,) = slurm.iterdir()
    return script.read_text().splitlines()


def test_slurm_script_holds_the_preset(slurm: Path, tmp_path: Path) -> None:
    partition = "hydra.launcher.submitit.parameters.slurm_partition=a100"
    lines = submitted(slurm, tmp_path / "sweep", 40, partition)
    for line in ("--partition=a100", "--gpus-per-node=1", "--time=240", "--requeue"):
        assert f"#SBATCH {line}" in lines
    assert "#SBATCH --array=0-39%16" in lines  # 40 packs, 16 at once
    assert "#SBATCH --signal=USR2@120" in lines
    assert "#SBATCH --cpus-per-task=4" in lines and "#SBATCH --mem=32GB" in lines
    assert any("submitit.core._submit" in line for line in lines)


def test_preset_without_gpu_asks_for_none(slurm: Path, tmp_path: Path) -> None:
    SubmititExecutor(tmp_path / "sweep", **preset(name="pack_slurm_cpu")).submit([_train])
    (script,) = slurm.iterdir()
    asked = script.read_text()
    assert "--gpus" not in asked and "--partition" not in asked
    assert "#SBATCH --requeue" in asked.splitlines()  # the rest is as in the other


@dataclasses.dataclass(frozen=True)
class _Pack:
    """A task with a name, as `PackTask`."""

    pack: str

    def __call__(self) -> PackEnd:
        return PackEnd()


def test_job_of_a_pack_is_found_again(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = {"42_0": SlurmJob("RUNNING", "None"), "42_1": SlurmJob("PENDING", "Resources")}
    monkeypatch.setattr("lora_sweep.slurm.jobs_in_queue", lambda: queue)
    first = SubmititExecutor(tmp_path / "sweep", **preset())
    first.submit([_Pack("pack-000000"), _Pack("pack-000001")])
    assert PackJobs(tmp_path / "sweep").all() == {"pack-000000": "42_0", "pack-000001": "42_1"}
    later = SubmititExecutor(tmp_path / "sweep", **preset())
    handles = [later.resume(pack) for pack in ("pack-000000", "pack-000001", "pack-000002")]
    assert [handle and handle.is_started() for handle in handles] == [True, False, None]
    assert [job.job_id for job in later.jobs] == ["42_0", "42_1"]


def test_packs_that_are_done_are_not_in_the_queue(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitit, "SETTLE_SECONDS", 0.0)
    queue = {f"42_{number}": SlurmJob("RUNNING", "None") for number in range(3)}
    monkeypatch.setattr("lora_sweep.slurm.jobs_in_queue", lambda: queue)
    executor = SubmititExecutor(tmp_path / "sweep", **preset())
    executor.submit([_Pack(f"pack-00000{number}") for number in range(3)])
    answer = executor.jobs[0].paths.result_pickle
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_bytes(b"")
    said = executor.describe_queue()
    assert said.startswith("2 packs in the queue") and "cancel: scancel 42\n" in said


def test_job_that_ended_is_not_found_again(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_sweep.slurm.jobs_in_queue", dict)
    jobs = PackJobs(tmp_path / "sweep")
    jobs.note("pack-000000", "42_0")
    assert SubmititExecutor(tmp_path / "sweep", **preset()).resume("pack-000000") is None
    assert jobs.all() == {}


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Unable to contact slurm controller (connect failure)", WorkersAwayError),
        ("Invalid qos specification", SettingError),
    ],
)
def test_failing_sbatch_is_told_apart(
    slurm: Path, tmp_path: Path, message: str, error: type[Exception]
) -> None:
    script = f"#!/bin/sh\necho 'sbatch: error: {message}' >&2\nexit 1\n"
    (slurm.parent / "bin" / "sbatch").write_text(script)
    with pytest.raises(error, match=message.partition(" (")[0]):
        SubmititExecutor(tmp_path / "sweep", **preset()).submit([_train])


class _PutBack:
    """submitit's handler of SIGUSR2."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, number: int, frame: object) -> None:
        self.n_calls += 1
        raise SystemExit(-1)


@pytest.fixture
def usr2() -> Iterator[None]:
    """The signal's handler is put back."""
    before = signal.getsignal(signal.SIGUSR2)
    yield
    signal.signal(signal.SIGUSR2, before)


@pytest.fixture
def preempted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm says that this process's job makes room for another."""
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    monkeypatch.setattr("lora_sweep.slurm.is_preempted", lambda job: job == "42")


def stopped(number: signal.Signals, n_steps: int) -> PackEnd:
    return PackEnd(stopped=Stop(number, "stopped after step 7", n_steps))


def stops(number: signal.Signals, n_steps: int) -> _SlotTask:
    """A task that is told to end after so many steps, in every slot."""
    return _SlotTask(functools.partial(stopped, number, n_steps), nothing)


def slot(task: _SlotTask) -> int:
    """Runs a slot of a task that is told to end; how often it was put back."""
    theirs = _PutBack()
    signal.signal(signal.SIGUSR2, theirs)
    with pytest.raises(SystemExit):
        task()
    return theirs.n_calls


@pytest.mark.usefixtures("usr2")
def test_pack_that_gets_on_is_put_back_as_often_as_it_takes() -> None:
    task = stops(signal.SIGUSR2, 3)
    assert [slot(task) for _ in range(20)] == [1] * 20


@pytest.mark.usefixtures("usr2")
def test_pack_that_does_not_get_on_ends_with_what_to_change() -> None:
    task = stops(signal.SIGUSR2, 0)
    for _ in range(MOST_IDLE_SLOTS - 1):
        assert slot(task) == 1
    signal.signal(signal.SIGUSR2, _PutBack())
    end = task()
    assert "took no step in 2 jobs: raise hydra.launcher.submitit.parameters.timeout_min" in str(
        end.error
    )


@pytest.mark.usefixtures("usr2", "preempted")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])  # as the cluster's rules say
def test_preempted_job_is_always_put_back(number: signal.Signals) -> None:
    task = stops(number, 0)
    assert [slot(task) for _ in range(5)] == [1] * 5


@pytest.mark.usefixtures("usr2")
def test_cancelled_job_is_not_put_back() -> None:
    assert slot(stops(signal.SIGTERM, 3)) == 0


class _ToldWhileItLoads:
    """A task whose imports the cluster's signal interrupts; it must not begin."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _told, ()


def _told() -> Task:
    os.kill(os.getpid(), signal.SIGUSR2)
    return PackEnd  # would be returned if it began


@pytest.mark.usefixtures("usr2")
def test_job_told_while_it_loads_is_put_back() -> None:
    task = _SlotTask(_ToldWhileItLoads(), nothing)  # type: ignore[arg-type]
    assert slot(pickle.loads(pickle.dumps(task))) == 1


def test_job_that_comes_to_its_end_calls_what_is_to_follow(tmp_path: Path) -> None:
    assert _SlotTask(PackEnd, (tmp_path / "report").touch)() == PackEnd()
    assert (tmp_path / "report").exists()


def test_pack_is_trained_also_if_what_follows_fails() -> None:
    assert _SlotTask(PackEnd, functools.partial(divmod, 1, 0))() == PackEnd()


def test_queue_is_bounded() -> None:
    assert preset("hydra.launcher.submitit.max_queued=5")["max_queued"] == 5


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("cluster=pbs", "cluster must be slurm, local, auto, but got pbs"),
        ("max_queued=0", "max_queued must be an integer of at least 1, but got 0"),
        ("parameters.gpus=1", r"submitit.parameters must be submitit's, but got .*gpus"),
        ("cluster=slurm", "cluster must be there, but got slurm"),
    ],
    ids=["cluster", "bound", "parameter", "no-slurm"],
)
def test_impossible_queue_is_refused(
    override: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm, whatever this machine has
    local = ("hydra.launcher.submitit.cluster=local", f"++hydra.launcher.submitit.{override}")
    with pytest.raises(SettingError, match=f"{rule}"):
        SubmititExecutor(tmp_path, **preset(*local))
