"""The parts of an adapted model: its encoder, its adapter, and what else is trained of it."""

from typing import Any

from torch import nn

from lora_sweep.library.adapter import LoRAXSAdapter
from lora_sweep.rules import is_rate, require


def encoder_of(model: nn.Module) -> nn.Module:
    """Returns the part of a model that is adapted: its `base_model`, or itself without one."""
    encoder = getattr(model, "base_model", model)
    assert isinstance(encoder, nn.Module)
    return encoder


def adapters_of(model: nn.Module) -> list[LoRAXSAdapter]:
    """Returns the adapters in a model: one where it is adapted, none where not."""
    return [part for part in model.modules() if isinstance(part, LoRAXSAdapter)]


def find_adapter(model: nn.Module) -> LoRAXSAdapter:
    """Returns the adapter of an adapted model.

    Raises:
        ValueError: the model has none.
    """
    found = adapters_of(model)
    require(len(found) == 1, "model", "adapted by adapt(model, ...)", f"{len(found)} adapters")
    return found[0]


def head_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Returns what else an adapted model trains, name -> parameter: all that wants a gradient.

    Raises:
        ValueError: the model has no adapter.
    """
    own = {id(parameter) for parameter in find_adapter(model).parameters()}
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and id(parameter) not in own
    }


def parameter_groups(
    model: nn.Module, *, lr: float, lr_logits: float, lr_head: float
) -> list[dict[str, Any]]:
    """Returns groups for a torch optimiser: R, logits (where ranks are learnt), head (if any).

    Args:
        model: adapted.
        lr: learning rate of R.
        lr_logits: of the allocation logits; what a sweep calls `lr`.
        lr_head: of all else that wants a gradient.

    Raises:
        ValueError: the model has no adapter, or a rate is negative or not finite.
    """
    for name, rate in (("lr", lr), ("lr_logits", lr_logits), ("lr_head", lr_head)):
        require(is_rate(rate), name, "at least 0 and finite", rate)
    adapter, head = find_adapter(model), list(head_parameters(model).values())
    logits = [] if adapter.plan.has_fixed_ranks else [adapter.logits]
    groups = [([adapter.R], lr), (logits, lr_logits), (head, lr_head)]
    return [{"params": part, "lr": rate} for part, rate in groups if part]
