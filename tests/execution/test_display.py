"""Signs of life: lines that become rarer where there is no terminal, a bar where there is one."""

import contextlib
import logging
import os
import pty
import re
import sys
import termios
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lora_sweep.execution import display
from lora_sweep.execution.display import Display
from lora_sweep.execution.train import _title
from lora_sweep.store.record import FailureRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.sweep_list import add_to_sweep
from lora_sweep.terminal import LogOutput


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests move."""
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def test_lines_say_steps_values_and_time_left(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Display("4 runs (8 of 24 done)", 900, unit="step", done=100) as shown:
        shown.show(loss="0.692")
        shown.move(120)
        assert caplog.messages == []  # too early
        clock[0] += 10
        shown.move(300)
    # 200 steps in 10 s: the 600 that are left take 30 s.
    assert caplog.messages == [
        "4 runs (8 of 24 done): step 300 of 900, loss=0.692, about 30 s left"
    ]


def test_lines_become_rarer_and_come_while_nothing_moves(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    begun, said = clock[0], []
    with Display("all runs", 24, unit="run") as shown:
        for _ in range(1000):
            clock[0] += 1
            shown.move(0)
            if len(caplog.messages) > len(said):
                said.append(clock[0] - begun)
    # After 10, then 20, 40, 80, 160 more, and from there on every 300.
    assert said == [10, 30, 70, 150, 310, 610, 910]
    assert set(caplog.messages) == {"all runs: run 0 of 24"}


def test_bar_and_log_lines_share_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shell, terminal = pty.openpty()
    with open(terminal, "w", encoding="utf-8") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(sys, "stdout", screen)
        termios.tcsetwinsize(terminal, (30, 100))
        with Display("a-0 (1 of 2 done)", 8, unit="step") as shown:
            shown.move(2)
            shown.bar.refresh()
            LogOutput().handle(logging.makeLogRecord({"msg": "epoch 1 is done"}))
            shown.move(5)
            shown.bar.refresh()
        screen.flush()
        last = _screen(_all_of(shell))
    os.close(shell)
    assert "epoch 1 is done" in last  # a line of its own
    assert re.search(r"a-0 \(1 of 2 done\): .*5/8 \[\d+:\d+<\d+:\d+\]", last[-1])


def _all_of(shell: int) -> str:
    """What was written so far; one read gives a part of it."""
    os.set_blocking(shell, False)
    parts: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        while part := os.read(shell, 65536):
            parts.append(part)
    return b"".join(parts).decode()


def _screen(text: str) -> list[str]:
    """What stands on a screen: a carriage return lets a line be written over from its start."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return [line for line in lines if line]


@pytest.mark.parametrize(
    ("width", "values"),
    [
        (200, ", loss=0.606, metric=0.667, ranks=1.0-4.0"),
        (80, ", loss=0.606, metric=0.667"),
        (66, ", loss=0.606"),
        (50, ""),
    ],
)
def test_bar_leaves_out_what_its_line_has_no_room_for(
    width: int, values: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tqdm would cut a value in two: `metric=0.66` for 0.667."""
    shell, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (30, width))
    with open(terminal, "w", encoding="utf-8") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        with Display("2 (0 of 6 done)", 24, unit="step") as shown:
            shown.show(ranks="1.0-4.0", metric="0.667", loss="0.606")
            shown.move(6)
            shown.bar.refresh()
        screen.flush()
        line = _screen(_all_of(shell))[-1]
    os.close(shell)
    assert re.search(rf"6/24 \[\d+:\d+<\d+:\d+{values}\]$", line)
    assert len(line) <= width


@pytest.mark.parametrize(
    ("names", "asked", "title"),
    [
        (["a-lr0.1-0"], ["a-lr0.1-0"], "a-lr0.1"),
        (["a-lr0.1-0"], ["a-lr0.1-0", "done-0"], "a-lr0.1 (1 of 2 done)"),
        (["a-0", "b-0"], ["done-0", "a-0", "b-0"], "2 runs (1 of 3 done)"),
        (["a-0"], [], "a"),
    ],
)
def test_title_says_what_is_done_of_the_command(
    names: list[str], asked: list[str], title: str, tmp_path: Path
) -> None:
    if asked:
        add_to_sweep(tmp_path, {key: {} for key in asked}, "command")
    RunFolder(tmp_path / "done-0").start({}, "")
    RunFolder(tmp_path / "done-0").fail(FailureRecord({}, "why"))
    jobs: list[Any] = [
        SimpleNamespace(name=name, folder=RunFolder(tmp_path / name)) for name in names
    ]
    assert _title(jobs) == title
