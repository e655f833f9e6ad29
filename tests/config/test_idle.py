"""Settings that do nothing beside others are said, and those that count are not."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lora_sweep.config.idle import idle_settings
from lora_sweep.config.run import RunConfig
from lora_sweep.execution import execute

from .importance import BY_IMPORTANCE

Changed = Callable[[dict[str, Any]], RunConfig]
AT = {"rank.min": 4, "rank.max": 8}
RAMP = {"budget.schedule": "ramp", "budget.start_average": 8.0, "budget.end_average": 20.0}


def averages(value: int) -> dict[str, Any]:
    return AT | dict.fromkeys(
        ("rank.average", "budget.start_average", "budget.end_average"), value
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"training.epochs": 1},
            ("training.epochs=1", "lr", "allocation.tau", "training.epochs=2"),
        ),
        ({"training.epochs_discrete": 3}, ("training.epochs_discrete=3", "training.epochs=4")),
        (RAMP | {"budget.hold_epochs": 3.0}, ("budget.hold_epochs=3", "budget.end_average")),
        (averages(4), ("average rank of 4", "init and lr")),
        (averages(8), ("average rank of 8", "rank.max=8")),
        (BY_IMPORTANCE | {"rank.average": 25}, ("rank.average=25", "cuts nothing")),
        (
            BY_IMPORTANCE | {"init.name": "fixed"},
            ("init=fixed keeps every rank", "allocation=importance has no effect"),
        ),
    ],
    ids=str,
)
def test_setting_without_effect_is_named(
    settings: dict[str, Any], named: tuple[str, ...], changed: Changed
) -> None:
    config = changed(settings)
    (sentence,) = idle_settings(config, config.training.epochs)
    assert all(words in sentence for words in named)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.epochs": 1, "training.epochs_discrete": 0},
        {"training.epochs": 2},
        {"training.epochs": 1, "init.name": "fixed"},
        RAMP | {"budget.hold_epochs": 2.0},
        averages(8) | {"allocation.mode": "published"},  # ranks over the largest waste their part
        averages(5),
        BY_IMPORTANCE,
        BY_IMPORTANCE | {"training.epochs": 1},
    ],
    ids=str,
)
def test_setting_that_counts_is_not_named(settings: dict[str, Any], changed: Changed) -> None:
    config = changed(settings)
    assert idle_settings(config, config.training.epochs) == []


@pytest.mark.parametrize(
    ("settings", "n_epochs", "named"),
    [
        ({"training.max_steps": 5}, 1, ("training.max_steps=5 (it ends in epoch 1)", "epoch 2")),
        (
            RAMP | {"budget.hold_epochs": 2.0, "training.max_steps": 9},
            2,
            ("budget.hold_epochs=2 leaves no epoch of training.max_steps=9",),
        ),
    ],
    ids=str,
)
def test_bound_on_the_steps_can_leave_a_setting_without_effect(
    settings: dict[str, Any], n_epochs: int, named: tuple[str, ...], changed: Changed
) -> None:
    (sentence,) = idle_settings(changed(settings), n_epochs)
    assert all(words in sentence for words in named)


def test_cells_with_one_reason_are_warned_of_once(
    changed: Changed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("base_folder", "check_fit", "load_corpus", "check_sources"):
        monkeypatch.setattr(execute, name, lambda *_: SimpleNamespace(train=(0, 1)))
    execute._warn_once.cache_clear()
    for lr in (0.01, 0.05):
        execute.check_inputs(changed({"training.epochs": 1, "lr": lr}))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "leaves no epoch in which ranks are learnt" in record.message
