"""A process has one encoder in memory, however many bases its runs need one after the other."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from lora_sweep.config.run import RunConfig
from lora_sweep.execution import inputs
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options


def test_encoder_is_gone_before_the_next_one_is_made(
    tiny_run: list[str], composed: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made, n_alive = inputs.make_encoder, weakref.WeakSet[nn.Module](), []

    def counted(*arguments: Any) -> Any:
        n_alive.append(len(made))
        encoder = make(*arguments)
        made.add(encoder.encoder)
        return encoder

    monkeypatch.setattr(inputs, "make_encoder", counted)
    drawn = (*tiny_run, "model.factors=random", "training.epochs=1")
    cells = [composed(*drawn, f"model.factors_seed={seed}") for seed in range(3)]
    assert all(isinstance(metric, float) for metric in run_cells(cells, Options()))
    assert n_alive == [0, 0, 0]
