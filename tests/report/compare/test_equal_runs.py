"""Settings that made no difference are named, and only those."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.report.compare.equal_runs import equal_runs_lines
from lora_sweep.report.show import show_report
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.report.write import Forms
from lora_sweep.store.record import EpochRecord

EPOCH = EpochRecord(1, 8, 0.5, {"matthews_correlation": 0.5}, 0.5, 9.0, 0.0, 9, [3.0], [3])


def lines(sweep: Any) -> list[str]:
    read = read_sweep_folder(sweep.path)
    return equal_runs_lines(read.runs, read.courses)


def finish(sweep: Any, name: str, settings: dict[str, Any], **epoch: Any) -> None:
    epochs = [dataclasses.replace(EPOCH, **epoch)]
    sweep.finish(name, 0.5, settings, epochs=epochs, best_epoch=1)


def test_axis_that_did_nothing_is_named_with_values_and_seeds(sweep: Any, settings: Any) -> None:
    for seed in (0, 1):
        for lr in (0.01, 0.05):
            # The same in both seeds but for the last digit of the loss.
            finish(
                sweep, f"{lr}-{seed}", settings(lr=lr, seed=seed), train_loss=0.5 + seed / 2**52
            )
    assert lines(sweep) == [
        "lr 0.01 and 0.05 gave equal runs in every digit: 4 runs with seeds 0 and 1."
    ]


@pytest.mark.parametrize(
    "change",
    [{"train_loss": 0.5 + 2**-53}, {"ranks": [3.5]}, {"metrics": {"matthews_correlation": 0.25}}],
    ids=str,
)
def test_runs_that_differ_in_one_digit_are_not_equal(
    change: dict[str, Any], sweep: Any, settings: Any
) -> None:
    finish(sweep, "a", settings(lr=0.01))
    finish(sweep, "b", settings(lr=0.05), **change)
    assert lines(sweep) == []


def test_fixed_ranks_among_equal_runs_name_their_init_alone(sweep: Any, settings: Any) -> None:
    finish(sweep, "a", settings(lr=0.01))
    finish(sweep, "b", settings(init="fixed", lr=None, rank__min=None, alpha__min=None))
    assert lines(sweep) == [
        "init uniform and fixed gave equal runs in every digit: 2 runs with seed 0."
    ]
    finish(sweep, "c", settings(lr=0.05))
    assert lines(sweep) == [
        "init uniform and fixed, lr 0.01 and 0.05 gave equal runs in every digit: "
        "3 runs with seed 0."
    ]


def test_what_is_planned_may_differ(sweep: Any, settings: Any) -> None:
    finish(sweep, "a", settings(alpha__min=0.5), alpha=3.0)
    finish(sweep, "b", settings(alpha__min=0.1), alpha=5.0)
    assert lines(sweep) == [
        "alpha.min 0.5 and 0.1 gave equal runs in every digit: 2 runs with seed 0."
    ]


def test_one_run_in_two_folders_is_no_axis(sweep: Any, settings: Any) -> None:
    for name in ("a", "b"):
        sweep.finish(name, 0.5, settings(), fingerprint="one")
    assert lines(sweep) == []


def test_terminal_and_report_say_it(
    sweep: Any, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(sweep, "a", settings(lr=0.01))
    finish(sweep, "b", settings(lr=0.05))
    show_report([sweep.path], forms=Forms(figures=False, page=True))
    said = "lr 0.01 and 0.05 gave equal runs in every digit: 2 runs with seed 0."
    assert said in capsys.readouterr().out
    for page in ("report.md", "report.html"):
        assert said in Path(sweep.path, page).read_text(encoding="utf-8")
