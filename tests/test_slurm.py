"""What Slurm's commands print, and what is read of it; no Slurm is needed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_sweep import slurm
from lora_sweep.slurm import SlurmJob

Commands = Callable[..., Path]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Makes commands, name -> what its shell does, and returns the file of their arguments."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(**scripts: str) -> Path:
        for name, script in scripts.items():
            path = tmp_path / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/called\n{script}\n')
            path.chmod(0o755)
        return tmp_path / "called"

    return make


def test_queue_lists_the_jobs_of_arrays_one_by_one(commands: Commands) -> None:
    lines = "12_0|RUNNING|None\\n12_1|PENDING|Resources\\n13|OUT_OF_MEMORY|OutOfMemory"
    called = commands(squeue=f'printf "{lines}\\n"')
    jobs = slurm.jobs_in_queue()
    assert jobs == {
        "12_0": SlurmJob("RUNNING", "None"),
        "12_1": SlurmJob("PENDING", "Resources"),
        "13": SlurmJob("OUT_OF_MEMORY", "OutOfMemory"),
    }
    assert [job.is_over for job in jobs.values()] == [False, False, True]
    assert [job.is_waiting for job in jobs.values()] == [False, True, False]
    assert [job.words for job in jobs.values()][:2] == ["RUNNING", "PENDING (Resources)"]
    assert f"--user={os.getuid()}" in called.read_text()


@pytest.mark.parametrize("state", ["CONFIGURING", "REQUEUE_HOLD"])
def test_job_whose_processes_are_to_come_waits(state: str) -> None:
    job = SlurmJob(state, "None")
    assert job.is_waiting and not job.is_over


@pytest.mark.parametrize("script", ["exit 1", "echo error; exit 1"])
def test_queue_that_does_not_answer_is_no_error(commands: Commands, script: str) -> None:
    commands(squeue=script, sacct="echo Slurm accounting storage is disabled >&2; exit 1")
    assert slurm.jobs_in_queue() is None
    assert slurm.states_in_accounts(["12"]) == {}


def test_cluster_without_commands_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.jobs_in_queue() is None
    slurm.cancel(["12"])


def test_accounts_tell_the_first_word_of_a_state(commands: Commands) -> None:
    commands(sacct='printf "12_0|CANCELLED by 1000\\n12_1|COMPLETED\\n"')
    states = slurm.states_in_accounts(["12_0", "12_1"])
    assert {job: one.state for job, one in states.items()} == {
        "12_0": "CANCELLED",
        "12_1": "COMPLETED",
    }


@pytest.mark.parametrize(
    ("state", "time", "is_so"),
    [
        ("RUNNING", "2026-11-28T07:21:00", True),
        ("RUNNING", "None", False),  # of its own time limit
        ("COMPLETING", "None", False),  # cancelled
        ("PENDING", "2026-11-28T07:21:00", False),  # Slurm has put it back itself
    ],
    ids=["preempted", "at-its-limit", "cancelled", "put-back"],
)
def test_preempted_job_is_told_from_others(
    commands: Commands, state: str, time: str, is_so: bool
) -> None:
    said = f"JobId=12 JobName=a\\n   JobState={state} Reason=None\\n   PreemptTime={time}"
    called = commands(scontrol=f'printf "{said}\\n"')
    assert slurm.is_preempted("12_3") is is_so
    assert "show job 12_3" in called.read_text()


def test_job_of_a_cluster_without_an_answer_is_not_preempted(commands: Commands) -> None:
    commands(scontrol="exit 1")
    assert not slurm.is_preempted("12")


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "15"}, "15"),
        ({"SLURM_JOB_ID": "15", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}, "12_3"),
    ],
    ids=["none", "alone", "array"],
)
def test_own_job_is_named_as_in_the_queue(
    variables: dict[str, str], job: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert slurm.own_job() == job
