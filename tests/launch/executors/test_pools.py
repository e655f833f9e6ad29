"""Worker processes: what comes back from them, and what a dead one costs."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from lora_sweep.errors import WorkerDiedError
from lora_sweep.execution.protocols import Handle, PackEnd
from lora_sweep.interrupt import StoppedError
from lora_sweep.launch.executors import pools as pools_module
from lora_sweep.launch.executors.pools import PoolExecutor, _Stoppable


def _say_device() -> PackEnd:
    return PackEnd(warnings=(os.environ["CUDA_VISIBLE_DEVICES"], str(os.getpid())))


def _grow() -> PackEnd:
    """As a training does: loky would take the worker for one that leaks."""
    _grown.append(bytearray(b"x") * 400_000_000)
    return _say_device()


_grown: list[bytearray] = []


def _die() -> PackEnd:
    os.kill(os.getpid(), signal.SIGKILL)
    return PackEnd()


def _raise() -> PackEnd:
    raise ZeroDivisionError("by nothing")


def _sleep() -> PackEnd:
    time.sleep(60)
    return PackEnd()


@pytest.fixture(scope="module")
def pools() -> Iterator[PoolExecutor]:
    executor = PoolExecutor([{"CUDA_VISIBLE_DEVICES": "7"}, {"CUDA_VISIBLE_DEVICES": ""}])
    yield executor
    executor.stop()


def waited(handle: Handle) -> PackEnd:
    """How the task ended, once it has."""
    until = time.monotonic() + 60
    while (end := handle.end()) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    return end


def test_workers_see_their_own_device_and_stay(pools: PoolExecutor) -> None:
    first = [waited(handle).warnings for handle in pools.submit([_say_device, _say_device])]
    again = [waited(handle).warnings for handle in pools.submit([_say_device, _say_device])]
    assert [device for device, _ in first] == ["7", ""]
    assert len({process for _, process in first}) == 2
    assert again == first  # the same processes


def test_worker_that_grows_stays(pools: PoolExecutor) -> None:
    ends = []
    for task in (_grow, _say_device):
        time.sleep(1.1)  # loky looks at most once a second
        (handle,) = pools.submit([task])
        ends.append(waited(handle).warnings)
    assert ends[0] == ends[1]


def test_dead_worker_is_told_and_replaced(pools: PoolExecutor) -> None:
    dying, living = pools.submit([_die, _say_device])
    with pytest.raises(WorkerDiedError, match=r"SIGKILL\(-9\)"):
        waited(dying)
    assert waited(living).warnings[0] == ""
    (handle,) = pools.submit([_say_device])
    assert waited(handle).warnings[0] == "7"


def test_error_comes_back_with_its_message(pools: PoolExecutor) -> None:
    (handle,) = pools.submit([_raise])
    assert "ZeroDivisionError: by nothing" in str(waited(handle).error)


def test_stop_that_comes_between_two_tasks_ends_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools_module, "_told", [])
    before = signal.signal(signal.SIGTERM, pools_module._note)
    try:
        assert _Stoppable(PackEnd)() == PackEnd()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError):
            _Stoppable(lambda: pytest.fail("it began"))()
        assert signal.getsignal(signal.SIGTERM) is pools_module._note
    finally:
        signal.signal(signal.SIGTERM, before)


def test_stop_reaches_a_worker_that_is_busy(pools: PoolExecutor) -> None:
    pools.submit([_sleep])
    assert pools.workers[0].process is not None
    pools.workers[0].process.result(timeout=60)
    started = time.monotonic()
    pools.stop()
    assert time.monotonic() - started < 30
