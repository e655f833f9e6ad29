"""Handing packs to workers, with workers that only pretend."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError, StorageError, WorkerDiedError, WorkersAwayError
from lora_sweep.execution import dispatch, heartbeats
from lora_sweep.execution.dispatch import MAX_TRIES
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.execution.protocols import Handle, PackEnd, Stop, Task
from lora_sweep.interrupt import LeftError
from lora_sweep.store.claims import Claims

STOP = Stop(15, "stopped after step 2", 2)


class Here:
    """Trains each pack in this process, after so many deaths and with these ends instead."""

    def __init__(
        self, capacity: int = 2, n_deaths: int = 0, ends: Sequence[PackEnd | None] = ()
    ) -> None:
        self.capacity, self.n_deaths, self.ends = capacity, n_deaths, list(ends)
        self.packs: list[str] = []
        self.most = 0
        self.is_stopped = False
        self.n_away = 0
        self.queued: dict[str, Handle] = {}

    def submit(self, tasks: Sequence[Task]) -> list[Handle]:
        if self.n_away:
            self.n_away -= 1
            raise WorkersAwayError("nobody is there")
        self.most = max(self.most, len(tasks))
        self.packs += [getattr(task, "pack", "") for task in tasks]
        return [_Order(self, task) for task in tasks]

    def resume(self, pack: str) -> Handle | None:
        return self.queued.pop(pack, None)

    def stop(self) -> None:
        self.is_stopped = True


class _Order:
    def __init__(self, here: Here, task: Task) -> None:
        self.here, self.task = here, task

    def end(self) -> PackEnd | None:
        if self.here.n_deaths:
            self.here.n_deaths -= 1
            raise WorkerDiedError("signal 9")
        return (self.here.ends.pop(0) if self.here.ends else None) or self.task()

    def is_started(self) -> bool:
        return False

    def drop(self) -> str:
        return "nobody"


@pytest.fixture
def cells(tiny_run: list[str], composed: Callable[..., RunConfig]) -> list[RunConfig]:
    """Four cells of a run each."""
    tiny = [setting for setting in tiny_run if not setting.startswith("training.epochs")]
    return [composed(*tiny, "training.epochs=1", f"seed={seed}") for seed in range(4)]


def train(cells: Sequence[RunConfig], executor: Here, **options: Any) -> list[float | Exception]:
    return run_cells(cells, Options(executor=executor, **options))


def test_packs_fill_the_workers_and_no_more(cells: list[RunConfig]) -> None:
    here = Here(capacity=2)
    results = train(cells, here, pack_size=1)
    assert all(isinstance(result, float) for result in results)
    assert here.packs == [f"pack-00000{number}" for number in range(4)]
    assert here.most == 2 and not here.is_stopped


def test_auto_size_gives_every_worker_a_pack(cells: list[RunConfig]) -> None:
    here = Here(capacity=2)
    train(cells, here)
    assert here.packs == ["pack-000000", "pack-000001"]


def test_incompatible_runs_keep_all_workers_busy(
    cells: list[RunConfig], tiny_run: list[str], composed: Callable[..., RunConfig]
) -> None:
    other = [composed(*tiny_run, "training.batch_size=8", f"seed={seed}") for seed in range(2)]
    here = Here(capacity=3)
    train([*cells, *other], here, pack_size=4)
    assert here.most == 2  # both groups at once


def test_pack_of_a_dead_worker_is_queued_again(
    cells: list[RunConfig], caplog: pytest.LogCaptureFixture
) -> None:
    here = Here(n_deaths=MAX_TRIES - 1)
    results = train(cells, here, pack_size=4)
    assert all(isinstance(result, float) for result in results)
    assert here.packs == ["pack-000000"] * MAX_TRIES
    said = "worker died (signal 9) while it trained pack-000000: queued again, try 2 of 3"
    assert said in caplog.text


def test_pack_fails_after_too_many_dead_workers(cells: list[RunConfig], tmp_path: Path) -> None:
    results = train(cells, Here(n_deaths=MAX_TRIES), pack_size=4)
    assert [type(result) for result in results] == [WorkerDiedError] * 4
    assert f"got {MAX_TRIES} that died (last: signal 9)" in str(results[0])
    assert len(list(tmp_path.glob("outputs/tiny/*/failure.json"))) == 4


def test_worker_that_was_stopped_costs_a_try(
    cells: list[RunConfig], caplog: pytest.LogCaptureFixture
) -> None:
    results = train(cells, Here(ends=[PackEnd(stopped=STOP)]), pack_size=4)
    assert all(isinstance(result, float) for result in results)
    assert "worker died (stopped after step 2)" in caplog.text


def test_warnings_come_back(cells: list[RunConfig], caplog: pytest.LogCaptureFixture) -> None:
    train(cells[:1], Here(ends=[PackEnd(warnings=("a pack broke",)), None]), pack_size=4)
    assert "pack-000000: a pack broke" in caplog.text


def test_error_of_a_worker_is_its_runs_outcome(cells: list[RunConfig]) -> None:
    error = WorkerDiedError("no such package")
    results = train(cells, Here(ends=[PackEnd(error)]), pack_size=4)
    assert results == [error] * 4


def test_full_disk_ends_the_sweep(cells: list[RunConfig]) -> None:
    here = Here(ends=[PackEnd(StorageError("x can't be written"))])
    with pytest.raises(StorageError, match="x can't be written"):
        train(cells, here)
    assert here.is_stopped


class Silent:
    """A job that is said to run, but of which nothing is heard."""

    def __init__(self) -> None:
        self.is_dropped = False

    def end(self) -> PackEnd | None:
        return None

    def is_started(self) -> bool:
        return True

    def drop(self) -> str:
        self.is_dropped = True
        return "job 7"


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "AWAY_LOOK_SECONDS", 0.0)
    for name in ("LOOK_SECONDS", "UNCLAIMED_SECONDS"):
        monkeypatch.setattr(heartbeats, name, 0.0)


@pytest.mark.usefixtures("no_waiting")
def test_pack_that_nobody_trains_is_queued_again(
    cells: list[RunConfig], caplog: pytest.LogCaptureFixture
) -> None:
    here, silent = Here(), Silent()
    here.queued["pack-000000"] = silent
    results = train(cells, here, pack_size=4)
    assert all(isinstance(result, float) for result in results)
    assert silent.is_dropped
    said = "worker died (job 7: no sign of life) while it trained pack-000000: queued again, try 2"
    assert said in caplog.text


@pytest.mark.usefixtures("no_waiting")
def test_pack_with_a_heartbeat_is_left_to_its_job(
    cells: list[RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, silent = Here(), Silent()
    here.queued["pack-000000"] = silent
    n_looks = 0

    def sleep(seconds: float) -> None:
        nonlocal n_looks
        n_looks += 1
        if n_looks == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(dispatch.time, "sleep", sleep)
    claims = Claims(tmp_path / "outputs" / "tiny" / ".packs")
    with claims.claimed("pack-000000"), pytest.raises(KeyboardInterrupt):
        train(cells, here, pack_size=4)
    assert not silent.is_dropped and here.is_stopped


@pytest.mark.usefixtures("no_waiting")
def test_job_that_has_trained_its_pack_may_take_its_time(cells: list[RunConfig]) -> None:
    class Reporting(Silent):
        n_looks = 0

        def end(self) -> PackEnd | None:
            self.n_looks += 1
            if self.n_looks == 1:
                train(cells, Here())
            return PackEnd() if self.n_looks == 5 else None

    here, job = Here(), Reporting()
    here.queued["pack-000000"] = job
    results = train(cells, here, pack_size=4)
    assert all(isinstance(result, float) for result in results)
    assert not job.is_dropped and here.packs == []


def test_pack_of_an_earlier_command_is_not_handed_out_again(cells: list[RunConfig]) -> None:
    here = Here()

    class Queued(_Order):
        def end(self) -> PackEnd | None:
            return (
                PackEnd() if all(isinstance(one, float) for one in train(cells, Here())) else None
            )

    here.queued["pack-000000"] = Queued(here, PackEnd)
    results = train(cells, here, pack_size=4)
    assert all(isinstance(result, float) for result in results)
    assert here.packs == []


@pytest.mark.usefixtures("no_waiting")
def test_workers_that_are_away_cost_no_try(
    cells: list[RunConfig], caplog: pytest.LogCaptureFixture
) -> None:
    here = Here()
    here.n_away = MAX_TRIES + 1
    results = train(cells, here, pack_size=4)
    assert all(isinstance(result, float) for result in results)
    assert caplog.text.count("nobody is there: waiting for it, Ctrl-C ends the command") == 1


@pytest.mark.usefixtures("no_waiting")
def test_workers_that_stay_away_end_the_command(
    cells: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MOST_AWAY_SECONDS", 0.0)
    here = Here()
    here.n_away = 100
    with pytest.raises(WorkersAwayError, match="nobody is there"):
        train(cells, here, pack_size=4)


def test_command_leaves_once_all_packs_are_handed_out(cells: list[RunConfig]) -> None:
    here = Here(capacity=4)
    with pytest.raises(LeftError, match="four jobs") as left:
        train(cells, here, pack_size=1, leave=lambda: "four jobs")
    assert left.value.exit_code == 0
    assert len(here.packs) == 4 and not here.is_stopped


def test_command_that_leaves_hands_out_all_or_nothing(cells: list[RunConfig]) -> None:
    here = Here(capacity=3)
    with pytest.raises(SettingError, match=r"max_queued must be at least the 4 packs .* got 3"):
        train(cells, here, pack_size=1, leave=lambda: "four jobs")
    assert here.packs == []


def test_command_does_not_leave_what_nobody_has(cells: list[RunConfig]) -> None:
    here = Here(capacity=4)
    here.n_away = 1
    with pytest.raises(WorkersAwayError, match="the same command tries again"):
        train(cells, here, pack_size=1, leave=lambda: "four jobs")


def test_command_that_leaves_reads_what_earlier_jobs_answered(cells: list[RunConfig]) -> None:
    here = Here(ends=[PackEnd(WorkerDiedError("no such package"))])
    here.queued["pack-000000"] = _Order(here, PackEnd)
    results = train(cells, here, pack_size=4, leave=lambda: "one job")
    assert [str(result) for result in results] == ["no such package"] * 4
    with pytest.raises(LeftError, match="one job"):
        train(cells, here, pack_size=4, leave=lambda: "one job")
    assert len(here.packs) == 1


def test_command_that_leaves_queues_the_pack_of_a_dead_job_again(cells: list[RunConfig]) -> None:
    here = Here(n_deaths=1)
    here.queued["pack-000000"] = _Order(here, PackEnd)
    with pytest.raises(LeftError, match="one job"):
        train(cells, here, pack_size=4, leave=lambda: "one job")
    assert here.packs == ["pack-000000"]


def test_finished_sweep_is_not_left(cells: list[RunConfig]) -> None:
    before = train(cells, Here())
    assert train(cells, Here(), leave=lambda: "nothing") == before
