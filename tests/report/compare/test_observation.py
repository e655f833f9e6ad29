"""What the ranks did, from run folders to sentences."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.report.compare.observation import movement_sentence, observation_section
from lora_sweep.report.statistics.movement import Movement
from lora_sweep.report.table.courses import read_first_steps, read_start_ranks
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.store.record import EpochRecord

MATRICES = [f"layer.{layer}.{part}" for layer in range(3) for part in ("query", "value")]
EPOCH = EpochRecord(1, 8, 0.5, {"matthews_correlation": 0.5}, 0.5, 9.0, 0.0, 9, [], [])


def _run(sweep: Any, settings: Any, seed: int, start: list[float], *later: list[float]) -> None:
    integers = [0] * len(MATRICES)
    epochs = [
        dataclasses.replace(EPOCH, epoch=i, ranks=r, integer_ranks=integers)
        for i, r in enumerate(later, 1)
    ]
    fields = {"matrices": MATRICES, "epochs": epochs}
    name = f"run{seed}"
    sweep.finish(name, 0.5, settings(seed=seed), **fields)
    line = {"kind": "ranks", "step": 0, "ranks": start}
    sweep.write(name, "history.jsonl", json.dumps(line) + "\n")


def _section(sweep: Any) -> list[str]:
    read = read_sweep_folder(sweep.path)
    return observation_section(read.runs, read.courses)


def test_sentences_are_written_from_numbers(sweep: Any, settings: Any) -> None:
    flat = [4.0] * 6
    for seed in range(6):
        # first third up by 1 after two epochs, and down to 3 at the end; values fall, queries not
        own = 0.01 * (seed - 2.5)  # seeds differ, by nothing on average
        second = [5.0 + own, 5.0, 4.0, 3.0 + own, 4.0, 3.0]
        last = [3.0, 3.0 + own, 4.0, 4.0, 4.0 + own, 4.0]
        _run(sweep, settings, seed, flat, flat, second, last)
    text = "\n".join(_section(sweep))
    early, final = text.split("By component")[0].split("from the start to the end")
    assert "- first third: **up** (4.0 → 5.0; 6 seeds, 6 runs" in early
    assert "- middle third: **down** (4.0 → 3.5; 6 seeds, 6 runs" in early
    assert "- first third: **down** (4.0 → 3.0; 6 seeds, 6 runs" in final
    assert "- last third: no clear direction (4.0 → 4.0; 6 seeds, 6 runs" in final


def test_few_seeds_have_no_clear_direction() -> None:
    movement = Movement("all", 4.0, 5.0, 12, 2, 0.25)
    assert movement_sentence(movement) == (
        "all: no clear direction (4.0 → 5.0; 2 seeds, 12 runs, p = 0.25)"
    )


def test_runs_without_a_start_are_left_out(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.5, settings())
    assert _section(sweep) == []
    sweep.write("a", "history.jsonl", '{"kind": "epoch"}\n')
    assert read_start_ranks(sweep.path / "a") is None


def test_unreadable_history_is_named(sweep: Any) -> None:
    sweep.write("a", "history.jsonl", "{")
    with pytest.raises(RecordError, match=r"history\.jsonl can't be read"):
        read_start_ranks(sweep.path / "a")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_history_that_is_no_file_is_said_and_not_waited_for(
    make: Callable[[Path], None], sweep: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run = sweep.finish("a", 0.5, settings())
    make(run / "history.jsonl")
    with pytest.raises(RecordError, match=r"history\.jsonl must be a file, but got a"):
        read_start_ranks(run)
    assert read_first_steps(run, 1) == []
    assert "first steps are not known" in caplog.text
    (course,) = read_sweep_folder(sweep.path).courses.values()
    assert course.start_ranks is None
