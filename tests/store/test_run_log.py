"""A log file for each run."""

import logging
from pathlib import Path

import pytest

from lora_sweep.store.run_log import LOG_FILE, log_to

log = logging.getLogger("lora_sweep.some.module")


def test_log_holds_its_own_runs_lines_alone(tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with log_to(tmp_path / name):
            log.error("of the %s", name)
    log.error("of none")
    text = (tmp_path / "first" / LOG_FILE).read_text()
    assert text.endswith("[lora_sweep.some.module][ERROR] - of the first\n")
    assert len(text.splitlines()) == 1
    assert logging.getLogger().handlers == handlers


def test_error_leaves_its_traceback_and_goes_on(tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)
    with pytest.raises(RuntimeError, match="out of luck"), log_to(tmp_path):
        raise RuntimeError("out of luck")
    text = (tmp_path / LOG_FILE).read_text()
    assert "the run failed\nTraceback (most recent call last):" in text
    assert text.rstrip().endswith("RuntimeError: out of luck")
    assert logging.getLogger().handlers == handlers


def test_stop_is_told_with_what_became_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), log_to(tmp_path):
        raise KeyboardInterrupt("stopped after step 7 of 9")
    text = (tmp_path / LOG_FILE).read_text()
    assert text.endswith("[INFO] - stopped after step 7 of 9\n") and "Traceback" not in text
