"""`training.max_steps` from the setting to the record: what is known of it, and what it leaves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lora_sweep.config.run import RunConfig, run_settings
from lora_sweep.errors import SettingError
from lora_sweep.execution import execute
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cell
from lora_sweep.execution.plans import length_of
from lora_sweep.search.start import _n_epochs
from lora_sweep.store.record import read_result


def test_record_ends_with_the_bound(
    tiny_run: list[str], composed: Callable[..., RunConfig]
) -> None:
    # 48 texts in batches of 16: three steps an epoch, two epochs.
    config = composed(*tiny_run, "training.max_steps=4")
    run_cell(config)
    (name,) = runs_of(config)
    record = read_result(Path(config.paths.outputs, config.paths.sweep, name) / "result.json")
    assert [(epoch.epoch, epoch.step) for epoch in record.epochs] == [(1, 3), (2, 4)]
    assert record.settings["training.max_steps"] == 4


def test_run_without_a_bound_is_the_run_that_it_was(composed: Callable[..., RunConfig]) -> None:
    assert "training.max_steps" not in run_settings(composed(), 0)
    bounded = run_settings(composed("training.max_steps=4"), 0)
    assert bounded["training.max_steps"] == 4


def test_bound_decides_whether_a_training_is_too_long(composed: Callable[..., RunConfig]) -> None:
    # 16,777,216 steps an epoch, 128 epochs: 2 ** 31 steps.
    config = composed("training.epochs=128", "training.batch_size=1")
    with pytest.raises(
        SettingError, match=r"training\.epochs must be few enough for 5000000 steps"
    ):
        execute._check_length(config, length_of(config, 2**24))
    bounded = composed("training.epochs=128", "training.batch_size=1", "training.max_steps=4")
    execute._check_length(bounded, length_of(bounded, 2**24))


def test_search_sees_the_epochs_that_the_bound_leaves(
    tiny_run: list[str], composed: Callable[..., RunConfig]
) -> None:
    # 48 texts in batches of 16: three steps an epoch.
    epochs = [
        _n_epochs(composed(*tiny_run, "training.epochs=9", *more))
        for more in ([], ["training.max_steps=4"], ["training.max_steps=99"])
    ]
    assert epochs == [9, 2, 9]


def test_bound_of_no_step_is_refused(composed: Callable[..., RunConfig]) -> None:
    with pytest.raises(SettingError, match=r"training\.max_steps must be at least 1, but got 0"):
        composed("training.max_steps=0")
