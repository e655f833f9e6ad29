"""Signal handlers of ours and of others."""

import signal

from lora_sweep.interrupt import SIGNALS, handlers_kept, raise_stopped


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
