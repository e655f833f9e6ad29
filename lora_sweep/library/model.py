"""Puts the LoRA-XS layer with learnt ranks into a transformers model, in place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lora_sweep.adapters.factors import cached_factors, svd_factors
from lora_sweep.adapters.inject import STUDY_SUFFIXES, adapted_names, inject
from lora_sweep.library.adapter import LoRAXSAdapter
from lora_sweep.library.plan import AdapterPlan
from lora_sweep.rules import is_rate, require

CHILD = "lora_xs"
"""Name of the adapter among the encoder's submodules."""


def adapt(
    model: nn.Module,
    plan: AdapterPlan | None = None,
    *,
    adapted: Sequence[str] = STUDY_SUFFIXES,
    cache_dir: Path | None = None,
) -> LoRAXSAdapter:
    """Adapts a model in place and returns what is trained of it besides the head.

    The encoder (`model.base_model`, as all models of transformers have it, or the model itself
    where there is none) is frozen, and its matching linear layers become LoRA-XS layers. What
    lies outside it, the head, is left as it is. Evaluated right away the model gives what it gave
    before, up to R's start at 1e-5.

    Args:
        model: a transformers model, for example an `AutoModelForSequenceClassification`, or any
            module with linear layers.
        plan: how ranks are learnt; None for the study's numbers.
        adapted: ends of the names of the linear layers to adapt; the study's four by default.
        cache_dir: folder that keeps the factors for the next time; None for none.

    Returns:
        The adapter; `adapter.schedule(...)` comes before the first training step.

    Raises:
        ValueError: the model is adapted already, a name matches no linear layer, rank_max is over
            min(d_in, d_out) of a matrix, or init_values are not one a matrix; then the model is
            as it was.

    Source: LoRA-XS (arXiv 2405.17604); learnt ranks by the published study.
    """
    plan = plan or AdapterPlan()
    encoder = encoder_of(model)
    require(not hasattr(encoder, CHILD), "model", "without an adapter", "one that has it")
    names = adapted_names(encoder, adapted)
    values = plan.init_values
    is_fit = values is None or len(values) == len(names)
    rule = f"one logit for each of the {len(names)} adapted matrices"
    require(is_fit, "init_values", rule, len(values or ()))

    def factorise(weight: Tensor) -> tuple[Tensor, Tensor]:
        rank = plan.rank_max
        A, B = (
            svd_factors(weight, rank)
            if cache_dir is None
            else cached_factors(weight, rank, cache_dir)
        )
        return A.to(weight.dtype), B.to(weight.dtype)

    adapter = LoRAXSAdapter(inject(encoder, factorise, suffixes=adapted), plan)
    encoder.add_module(CHILD, adapter)
    adapter.train(encoder.training)
    encoder.register_forward_pre_hook(adapter.before_forward)
    return adapter


def encoder_of(model: nn.Module) -> nn.Module:
    """Returns the part of a model that is adapted: its `base_model`, or itself without one."""
    encoder = getattr(model, "base_model", model)
    assert isinstance(encoder, nn.Module)
    return encoder


def find_adapter(model: nn.Module) -> LoRAXSAdapter:
    """Returns the adapter of an adapted model.

    Raises:
        ValueError: the model has none.
    """
    found = [part for part in model.modules() if isinstance(part, LoRAXSAdapter)]
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
