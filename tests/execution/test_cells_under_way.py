"""Cells that come while others train, with workers that end in a chosen order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import PrunedError, SettingError
from lora_sweep.execution import dispatch
from lora_sweep.execution.cells_under_way import CellsUnderWay
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.execution.protocols import Handle, PackEnd, Task
from lora_sweep.execution.workers import dispatching


class Workers:
    """Two workers, each of which trains its pack as soon as the test lets it."""

    capacity = 2

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.let: set[str] = set()
        self.is_stopped = False

    def submit(self, tasks: Sequence[Task]) -> list[Handle]:
        named = {getattr(task, "pack", ""): task for task in tasks}
        self.tasks |= named
        return [_Order(self, pack) for pack in named]

    def resume(self, pack: str) -> None:
        return None

    def stop(self) -> None:
        self.is_stopped = True


class _Order:
    def __init__(self, workers: Workers, pack: str) -> None:
        self.workers, self.pack = workers, pack

    def end(self) -> PackEnd | None:
        return self.workers.tasks[self.pack]() if self.pack in self.workers.let else None

    def is_started(self) -> bool:
        return False

    def drop(self) -> str:
        return "nobody"


Cells = Callable[[int], RunConfig]


@pytest.fixture
def cell(
    tiny_run: list[str], composed: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> Cells:
    """A seed -> its cell of two runs, which trains for an epoch."""
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.0)
    own = [setting for setting in tiny_run if not setting.startswith("training.epochs")]
    return lambda seed: composed(*own, "training.epochs=1", "n_seeds=2", f"seed={seed}")


@contextmanager
def under_way(workers: Workers) -> Iterator[CellsUnderWay]:
    options = Options(together=2, executor=workers, n_workers=1)
    with dispatching(options) as dispatched:
        yield CellsUnderWay(dispatched, options)


def test_worker_that_is_done_gets_the_cell_that_came_meanwhile(cell: Cells) -> None:
    workers = Workers()
    with under_way(workers) as cells:
        for number in (0, 1):
            cells.add({number: cell(10 * number)})
        assert cells.ended() == {}
        assert list(workers.tasks) == ["pack-000000", "pack-000001"]
        workers.let = {"pack-000001"}
        assert list(cells.ended()) == [1]
        cells.add({2: cell(20)})
        assert cells.ended() == {}
        assert list(workers.tasks)[2:] == ["pack-000002"]
        workers.let = {"pack-000002"}
        ended = cells.ended()
        workers.let = {"pack-000000"}
        ended |= cells.ended()
    assert list(ended) == [2, 0]
    assert [ended[2], ended[0]] == run_cells([cell(20), cell(0)], Options())
    assert not workers.is_stopped


def test_cells_that_come_together_are_one_pack(cell: Cells) -> None:
    workers = Workers()
    with under_way(workers) as cells:
        cells.add({0: cell(0), 1: cell(10)})
        workers.let = {"pack-000000"}
        assert list(cells.ended()) == [0, 1]
    assert list(workers.tasks) == ["pack-000000"]


def test_cells_of_the_same_runs_end_with_them(cell: Cells) -> None:
    workers = Workers()
    with under_way(workers) as cells:
        cells.add({0: cell(0)})
        cells.add({1: cell(0)})
        cells.ended()
        workers.let = {"pack-000000"}
        ended = cells.ended()
        cells.add({2: cell(0)})
        ended |= cells.ended()
    assert list(ended) == [0, 1, 2] and len(set(ended.values())) == 1
    assert list(workers.tasks) == ["pack-000000"]


def test_cell_with_a_wrong_input_ends_with_its_error(
    cell: Cells, composed: Callable[..., RunConfig], tiny_run: list[str]
) -> None:
    with under_way(Workers()) as cells:
        cells.add({7: composed(*tiny_run, "model.path=/nowhere")})
        ended = cells.ended()
    assert list(ended) == [7] and isinstance(ended[7], Exception)


@pytest.mark.parametrize("error", [SettingError("no"), KeyboardInterrupt(), PrunedError("no")])
def test_workers_stop_when_the_caller_breaks_off(error: BaseException, cell: Cells) -> None:
    workers = Workers()
    with pytest.raises(type(error)), under_way(workers) as cells:
        cells.add({0: cell(0)})
        raise error
    assert workers.is_stopped
