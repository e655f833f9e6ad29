"""Which tracker a run gets, what is refused, and that a broken one ends nothing but itself."""

import importlib.util
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lora_sweep.config.run import RunConfig, run_name, run_settings
from lora_sweep.errors import SettingError
from lora_sweep.trackers.tracker import (
    PACKAGES,
    GuardedTracker,
    NoTracker,
    check_tracker,
    start_tracker,
)


class Breaking(NoTracker):
    """Fails at the second point."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self.steps:
            raise OSError("no room")
        self.steps.append(step)


def test_no_tracker_is_the_default(composed: Callable[..., RunConfig], tmp_path: Path) -> None:
    assert composed().tracker.name == "none"
    assert isinstance(start_tracker("none", tmp_path, {}, "cell"), NoTracker)
    check_tracker("none")


@pytest.mark.parametrize("name", PACKAGES)
def test_tracker_changes_no_setting_of_a_run(
    name: str, composed: Callable[..., RunConfig]
) -> None:
    plain, tracked = (run_settings(composed(f"tracker={one}"), 0) for one in ("none", name))
    assert plain == tracked
    assert run_name(plain) == run_name(tracked)


@pytest.mark.parametrize("name", PACKAGES)
def test_missing_package_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(SettingError, match=rf"pip install .* '\.\[{name}\]' .*, or tracker="):
        check_tracker(name)


def test_tracker_that_breaks_is_told_once_and_left(caplog: pytest.LogCaptureFixture) -> None:
    breaking = Breaking()
    tracker = GuardedTracker("run-a", lambda: breaking)
    with caplog.at_level(logging.WARNING):
        for step in range(4):
            tracker.log(step, {})
        tracker.finish("finished", {})
        tracker.close()
    assert breaking.steps == [0]
    (record,) = caplog.records
    assert "run-a is not tracked any further, its training goes on: OSError: no room" in (
        record.getMessage()
    )


def test_tracker_that_can_not_start_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def start() -> NoTracker:
        raise ImportError("half installed")

    GuardedTracker("run-a", start).log(0, {})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
