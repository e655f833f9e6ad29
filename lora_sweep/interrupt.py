"""Ctrl-C, SIGTERM, SIGHUP and SIGUSR2: a training ends after the step under way, and is saved.

SIGHUP comes where the terminal is closed or the connection ends, SIGUSR2 where a cluster says that
a job's time is nearly over.

Python calls a handler between two of its own instructions, and a backward pass is one of them: of
a large pack it takes many seconds. So a thread, which C wakes by a byte at the very signal, says
at once that it was heard.
"""

import os
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
_SAID = b"\nstopping: the step is finished and saved first; Ctrl-C again stops without it\n"


class StoppedError(KeyboardInterrupt):
    """Somebody asked the process to stop.

    It is no `Exception`: nothing between the training and the command line may take it for a
    run's own failure.
    """

    def __init__(self, signal_number: int, message: str, n_steps: int = 0) -> None:
        """Says which signal it was, and what became of the work.

        Args:
            signal_number: of the signal.
            message: for people.
            n_steps: optimiser steps that the training took before it was saved.
        """
        super().__init__(message)
        self.signal_number, self.n_steps = signal_number, n_steps

    @property
    def exit_code(self) -> int:
        """What a shell expects: 128 and the signal, as 130 for Ctrl-C or 143 for SIGTERM."""
        return 128 + self.signal_number


class LeftError(StoppedError):
    """The work goes on elsewhere, and the command was asked not to wait for it."""

    def __init__(self, message: str) -> None:
        """Takes what becomes of the work."""
        super().__init__(0, message)

    @property
    def exit_code(self) -> int:
        """Success: 0."""
        return 0


class StopRequest:
    """Whether a signal has come.

    Attributes:
        signal_number: of the first one; None as long as there was none.
    """

    def __init__(self) -> None:
        """Starts without one."""
        self.signal_number: int | None = None

    def receive(self, signal_number: int, frame: FrameType | None) -> None:
        """Notes the first signal; a second one stops with what was saved before."""
        if self.signal_number is not None:
            raise_stopped(signal_number, frame)
        self.signal_number = signal_number


class ClusterNotice(StopRequest):
    """Whether a cluster has told its job to end: then nobody is in a hurry but the cluster itself.

    A cluster sends its signals several times, and more than one kind, while the step is finished
    and saved: none of them stops at once.
    """

    def __init__(self) -> None:
        """Starts without a notice, where one stops at once."""
        super().__init__()
        self._only_notes = False

    def receive(self, signal_number: int, frame: FrameType | None) -> None:
        """Notes the signal, SIGUSR2 in place of any other; the first one stops at once."""
        is_first = self.signal_number is None
        if is_first or signal_number == signal.SIGUSR2:
            self.signal_number = signal_number
        if is_first and not self._only_notes:
            raise_stopped(signal_number, frame)

    @contextmanager
    def only_noted(self) -> Iterator["ClusterNotice"]:
        """Leaves it to what is done within to end: an import, or a training after its step."""
        self._only_notes = True
        try:
            yield self
        finally:
            self._only_notes = False


def raise_stopped(signal_number: int, frame: FrameType | None) -> None:
    """Signal handler for when nothing trains, or nothing any more: stops at once."""
    raise StoppedError(signal_number, "stopped: the same command goes on from what was saved last")


def handle_termination() -> None:
    """Makes SIGTERM, SIGHUP and SIGUSR2 end the process as Ctrl-C does: claims are given back.

    What somebody else has decided stays: `nohup` has SIGHUP ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, raise_stopped)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Puts our handlers back after a library that installs its own: Ray's ends without saving."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was installed from C, and can't be put back
                signal.signal(number, handler)


@contextmanager
def told_by_cluster() -> Iterator[ClusterNotice]:
    """Takes SIGTERM and SIGUSR2 of a cluster's job in place of whatever handles them."""
    notice = ClusterNotice()
    numbers = (signal.SIGTERM, signal.SIGUSR2)
    before = {number: signal.signal(number, notice.receive) for number in numbers}
    try:
        yield notice
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Collects the signals that ask for an end, instead of ending at once.

    Handlers that others have installed stay: a cluster's launcher has its own plans for them.

    Raises:
        StoppedError: one came, and the work within has come to its end all the same: nothing
            else is to be begun.
    """
    notice = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(notice, ClusterNotice):
        with notice.only_noted():
            yield notice
        return
    request = StopRequest()
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        ours = (signal.SIG_DFL, signal.default_int_handler, raise_stopped)
        for number in SIGNALS:
            if signal.getsignal(number) in ours:
                before[number] = signal.signal(number, request.receive)
    try:
        with _answered_at_once(before):
            yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if request.signal_number is not None:
        raise_stopped(request.signal_number, None)


@contextmanager
def _answered_at_once(numbers: Collection[int]) -> Iterator[None]:
    """Says that a stop was heard as soon as the first of these signals comes."""
    if not numbers:
        yield
        return
    heard, told = socket.socketpair()
    told.setblocking(False)
    thread = threading.Thread(target=_answer, args=(heard, frozenset(numbers)), daemon=True)
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        told.shutdown(socket.SHUT_WR)  # ends the thread, whatever forks have inherited
        thread.join()
        told.close()
        heard.close()


def _answer(heard: socket.socket, numbers: Collection[int]) -> None:
    """Waits for the number of a signal that asks for an end."""
    while received := heard.recv(1):
        if received[0] in numbers:
            with suppress(OSError):  # the terminal may be gone
                os.write(2, _SAID)  # not logged: somebody may be in the middle of a line
            return
