"""A model that is cast or moved after `adapt`: R and logits stay float32."""

from collections.abc import Callable

import pytest
import torch
from classifiers import PLAN, make_batch, make_model
from torch import nn

from lora_sweep import adapt, parameter_groups

CASTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "half": lambda model: model.half(),
    "bfloat16": lambda model: model.bfloat16(),
    "to": lambda model: model.to(torch.bfloat16),
    "to device and type": lambda model: model.to("cpu", torch.bfloat16),
    "double": lambda model: model.double(),
}


@pytest.mark.parametrize("cast", CASTS.values(), ids=list(CASTS))
def test_cast_leaves_the_adapters_numbers(cast: Callable[[nn.Module], nn.Module]) -> None:
    model = make_model().eval()
    adapter = adapt(model, PLAN)
    R, logits = adapter.R.detach().clone(), adapter.logits.detach().clone()
    cast(model)
    assert torch.equal(adapter.R, R) and torch.equal(adapter.logits, logits)
    assert adapter.R.dtype == adapter.logits.dtype == torch.float32
    assert model.base_model.get_submodule(adapter.names[0]).weight.dtype != torch.float32
    assert model(**make_batch()).logits.isfinite().all()


def test_every_logit_moves_after_a_cast() -> None:
    """A step of 1e-4 on logits near 1 is less than half of what bfloat16 can tell apart."""
    model = make_model().train()
    adapter = adapt(model, PLAN)
    adapter.schedule(steps_per_epoch=4, n_epochs=2)
    nn.init.normal_(adapter.R, std=0.1)
    nn.init.ones_(adapter.logits)
    model.bfloat16()
    groups = parameter_groups(model, lr=1e-4, lr_logits=1e-4, lr_head=1e-4)
    model(**make_batch()).loss.backward()
    torch.optim.AdamW(groups).step()
    assert (adapter.logits != 1).all()


def test_adapter_goes_where_the_model_goes() -> None:
    model = make_model()
    adapter = adapt(model, PLAN)
    model.to("meta", torch.bfloat16)
    assert adapter.R.is_meta and adapter.logits.is_meta and adapter.place.numbers.is_meta
    assert adapter.R.dtype == torch.float32


def test_start_is_float32_whatever_torch_makes_by_default() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        adapter = adapt(make_model(), PLAN)
    finally:
        torch.set_default_dtype(torch.float32)
    assert adapter.R.dtype == adapter.logits.dtype == torch.float32


@pytest.mark.parametrize("assign", [False, True])
def test_state_dict_in_16_bits_is_taken_as_float32(assign: bool) -> None:
    adapter, other = (adapt(make_model(), PLAN) for _ in range(2))
    nn.init.normal_(adapter.R)
    numbers = {"R": adapter.R.detach().half(), "logits": adapter.logits.detach().half()}
    other.load_state_dict({**adapter.state_dict(), **numbers}, assign=assign)
    assert torch.equal(other.R, numbers["R"].float()) and other.R.requires_grad
    assert other.R.dtype == other.logits.dtype == torch.float32
