"""Copies of a model that is being trained: deep copies, averages, pickled files."""

import copy
import dataclasses
import io
from typing import Any

import pytest
import torch
from classifiers import PLAN, make_batch, make_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lora_sweep import adapt, find_adapter, parameter_groups

NOISY = dataclasses.replace(PLAN, tau=0.5, budget_start=2.0, budget_move_epochs=1.0)


def _model() -> Any:
    model = make_model().train()
    adapter = adapt(model, NOISY)
    adapter.schedule(steps_per_epoch=3, n_epochs=3)
    nn.init.normal_(adapter.R, std=0.1)
    return model


def _steps(model: Any, n: int) -> None:
    groups = parameter_groups(model, lr=0.1, lr_logits=0.1, lr_head=0.1)
    optimiser = torch.optim.SGD(groups)
    for _ in range(n):
        model(**make_batch()).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        find_adapter(model).advance()


def _pickled(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    read: nn.Module = torch.load(file, weights_only=False)
    return read


def _logits(model: Any) -> tuple[Tensor, Tensor]:
    """In evaluation, and in training."""
    evaluated = model.eval()(**make_batch()).logits
    return evaluated, model.train()(**make_batch()).logits


@pytest.mark.parametrize("duplicate", [copy.deepcopy, _pickled])
@pytest.mark.parametrize("is_open", [False, True], ids=["after a step", "within a step"])
def test_copy_gives_the_same_and_trains_the_same(duplicate: Any, is_open: bool) -> None:
    model = _model()
    _steps(model, 2)
    if is_open:
        model.base_model.encoder.layer[0].attention.self.query(torch.randn(2, 3, 16))
        model(**make_batch())  # a graph without a backward pass
    twin = duplicate(model)
    for ours, theirs in zip(_logits(twin), _logits(model), strict=True):
        assert torch.equal(ours, theirs)
    for each in (model, twin):
        _steps(each, 4)
    assert torch.equal(find_adapter(twin).R, find_adapter(model).R)
    assert torch.equal(find_adapter(twin).logits, find_adapter(model).logits)
    assert find_adapter(twin).step == 6


@pytest.mark.parametrize("duplicate", [copy.deepcopy, _pickled])
def test_copy_has_an_adapter_of_its_own(duplicate: Any) -> None:
    model = _model().eval()
    twin = duplicate(model)
    before = twin(**make_batch()).logits
    nn.init.zeros_(find_adapter(model).R)
    assert torch.equal(twin(**make_batch()).logits, before)


def test_nothing_of_a_graph_stays_in_the_model() -> None:
    model = _model()
    _steps(model, 1)
    held = [
        value
        for part in model.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor) and value.grad_fn is not None
    ]
    assert held == [] and find_adapter(model)._shares._waiting == {}


def test_average_of_models_follows_the_schedule() -> None:
    """With a decay of 0 the average is the model itself, as it was after the last step."""
    model = _model()
    average = AveragedModel(model, avg_fn=lambda _, new, __: new)
    for _ in range(2):
        _steps(model, 1)
        average.update_parameters(model)
    adapter = find_adapter(average)
    assert (adapter.step, adapter.budget_params) == (2, 8 * (4 + 2 / 3 * 12))
    for ours, theirs in zip(_logits(average), _logits(model), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
