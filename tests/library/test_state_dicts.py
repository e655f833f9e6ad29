"""Weights that are loaded after `adapt`: what is derived of them follows."""

import dataclasses
from typing import Any

import pytest
import torch
from classifiers import PLAN, make_batch, make_model
from torch import nn

from lora_sweep import adapt, find_adapter


def _trained() -> Any:
    model = make_model().eval()
    nn.init.normal_(adapt(model, PLAN).R, generator=torch.Generator().manual_seed(0))
    return model


def _other_base() -> Any:
    """The same shapes, other weights in encoder and head."""
    model = make_model().eval()
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


@pytest.mark.parametrize("assign", [False, True])
def test_state_dict_over_another_base_gives_the_same_logits(assign: bool) -> None:
    model, other, batch = _trained(), _other_base(), make_batch()
    adapt(other, PLAN)
    state = {name: values.clone() for name, values in model.state_dict().items()}
    other.load_state_dict(state, assign=assign)
    torch.testing.assert_close(other(**batch).logits, model(**batch).logits, rtol=0, atol=1e-6)


def test_base_that_is_loaded_after_adapting_is_adapted() -> None:
    base, late, early = _other_base(), _trained(), _other_base()
    adapt(early, PLAN)
    R = find_adapter(late).R.detach()
    find_adapter(early).R.data.copy_(R)
    find_adapter(early).logits.data.copy_(find_adapter(late).logits.detach())
    late.load_state_dict(base.state_dict(), strict=False)
    batch = make_batch()
    torch.testing.assert_close(early(**batch).logits, late(**batch).logits, rtol=0, atol=1e-6)


def test_state_dict_brings_step_and_schedule() -> None:
    """In a ramp the budget of evaluation depends on both: 2^2 + 1/2 (4^2 - 2^2) a matrix."""
    plan = dataclasses.replace(PLAN, budget_start=2.0, budget_move_epochs=1.0)
    adapter, other = (adapt(make_model(), plan).eval() for _ in range(2))
    adapter.schedule(steps_per_epoch=8, n_epochs=3)
    adapter.step = 4
    other.load_state_dict(adapter.state_dict())
    assert (other.step, other.length, other.budget_params) == (4, (8, 3), 8 * 10)
