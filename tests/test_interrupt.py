"""Signal handlers of ours and of others."""

import errno
import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from lora_sweep.interrupt import (
    SIGNALS,
    ClusterNotice,
    StoppedError,
    handle_termination,
    handlers_kept,
    raise_stopped,
    stop_on_signals,
    told_by_cluster,
)


def test_handlers_outlive_a_library_that_installs_its_own() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    signal.signal(signal.SIGTERM, raise_stopped)
    try:
        with handlers_kept():
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is raise_stopped
        assert signal.getsignal(signal.SIGINT) == before[0]
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


@pytest.fixture
def heard() -> Iterator[None]:
    """No signal is ignored, as SIGHUP is where the tests themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", SIGNALS)
def test_first_signal_asks_and_the_second_ends(number: int) -> None:
    with pytest.raises(StoppedError) as stopped, stop_on_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.signal_number == number
        os.kill(os.getpid(), number)
        pytest.fail("the second signal did not end it")
    assert stopped.value.exit_code == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN], ids=["default", "nohup"])
def test_what_somebody_has_decided_stays(number: signal.Signals, before: signal.Handlers) -> None:
    kept = signal.signal(number, before)
    try:
        handle_termination()
        expected = raise_stopped if before is signal.SIG_DFL else signal.SIG_IGN
        assert signal.getsignal(number) is expected
    finally:
        signal.signal(number, kept)


def test_signal_is_heard_where_the_terminal_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(number: int, text: bytes) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", gone)
    with pytest.raises(StoppedError), stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal_number == signal.SIGTERM


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", SIGNALS)
def test_signal_that_comes_too_late_for_the_work_ends_what_would_follow(number: int) -> None:
    before, is_done = signal.getsignal(number), False
    with pytest.raises(StoppedError) as stopped, stop_on_signals():
        os.kill(os.getpid(), number)
        is_done = True
    assert is_done
    assert stopped.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_signal_in_a_step_that_hears_none_is_answered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step is one call into C here, as a backward pass is: no handler runs before its end."""
    said: list[float] = []
    monkeypatch.setattr(os, "write", lambda number, text: said.append(time.monotonic()))
    with pytest.raises(StoppedError), stop_on_signals() as stop:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        while stop.signal_number is None:
            began = time.monotonic()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000)
            ended = time.monotonic()
    (at,) = said
    assert began < at < ended - (ended - began) / 4


def test_step_is_answered_once_and_no_other_signal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda number, text: said.append(text))
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGUSR1)
    assert said == []
    with pytest.raises(StoppedError), stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert len(said) == 1
    signal.signal(signal.SIGUSR1, before)
    assert signal.set_wakeup_fd(-1) == -1  # given back


def test_cluster_may_tell_a_training_several_times() -> None:
    with told_by_cluster() as notice, stop_on_signals() as stop:
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert stop is notice
        assert stop.signal_number == signal.SIGUSR2  # only it has the job put back


def test_cluster_ends_what_does_not_train_at_once() -> None:
    with told_by_cluster() as notice:
        with pytest.raises(StoppedError):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # while the claim is given back
        with stop_on_signals() as stop:
            assert stop.signal_number == notice.signal_number == signal.SIGTERM


def test_cluster_may_tell_what_only_notes_it() -> None:
    with told_by_cluster() as notice:
        with notice.only_noted():
            os.kill(os.getpid(), signal.SIGUSR2)
        assert notice.signal_number == signal.SIGUSR2


def test_handlers_of_a_clusters_job_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)]
    with told_by_cluster(), stop_on_signals():
        assert isinstance(signal.getsignal(signal.SIGTERM).__self__, ClusterNotice)  # type: ignore[union-attr]
    after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)]
    assert after == before
