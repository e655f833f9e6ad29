"""Packs that wait in Slurm's queue, which is a pretended one."""

from typing import Any

import pytest
from rich.console import Console

from lora_sweep import slurm
from lora_sweep.slurm import SlurmJob
from lora_sweep.status.folders import SweepFolder
from lora_sweep.status.show import commands_to_go_on, status_text
from lora_sweep.status.summary import Status, sweep_status
from lora_sweep.store.claims import Claims
from lora_sweep.store.pack_jobs import PackJobs


@pytest.fixture
def queued(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sweep of three packs: the first has a run left of two, the last has no job any more."""
    asked = {name: sweep.settings(seed=seed) for seed, name in enumerate("abcd")}
    sweep.ask_for(asked)
    sweep.finish("a", 0.7, asked["a"])
    sweep.agree({"p0": ["a", "b"], "p1": ["c"], "p2": ["d"]})
    for number in range(3):
        PackJobs(sweep.path).note(f"p{number}", f"12_{number}")
    jobs = {
        "12_0": SlurmJob("PENDING", "Resources"),
        "12_1": SlurmJob("RUNNING", "None"),
        "12_2": SlurmJob("FAILED", "NonZeroExitCode"),
    }
    monkeypatch.setattr(slurm, "jobs_in_queue", lambda: jobs)
    return sweep


def shown(status: Status) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(status_text(status))
    return capture.get()


def test_packs_in_the_queue_are_counted_with_those_left(queued: Any) -> None:
    status = sweep_status(SweepFolder(queued.path))
    assert (status.n_runs, status.finished, status.running, status.left) == (4, 1, 0, 3)
    assert status.queued == 2
    assert status.queue == {"p0": "job 12_0, PENDING (Resources)", "p1": "job 12_1, RUNNING"}


def test_queue_is_shown_and_nothing_need_be_typed(queued: Any) -> None:
    status = sweep_status(SweepFolder(queued.path))
    text = shown(status)
    assert "3 left (2 of them queued)" in text
    assert "p0: job 12_0, PENDING (Resources)" in text
    assert "not known: 2 packs in the queue, none is trained now" in text
    assert commands_to_go_on(status) == []


def test_pack_that_is_trained_is_running_not_queued(queued: Any) -> None:
    with Claims(queued.path / ".packs").claimed("p1"):
        status = sweep_status(SweepFolder(queued.path))
    assert (status.running, status.queued) == (1, 1)


def test_without_slurm_nothing_is_queued(queued: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "jobs_in_queue", lambda: None)
    status = sweep_status(SweepFolder(queued.path))
    assert (status.queued, status.queue) == (0, {})
