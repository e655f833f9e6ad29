"""Puts the LoRA-XS layer with learnt ranks into a transformers model, in place."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from torch import nn

from lora_sweep.adapters.factors.factoriser import Factoriser
from lora_sweep.adapters.inject import STUDY_SUFFIXES, adapted_names, inject
from lora_sweep.adapters.layer import LoRAXSLinear
from lora_sweep.library.adapter import LoRAXSAdapter
from lora_sweep.library.parts import adapters_of, encoder_of
from lora_sweep.library.plan import AdapterPlan
from lora_sweep.library.saving import save_with_adapter
from lora_sweep.rules import require

CHILD = "lora_xs"
"""Name of the adapter among the parts of the first adapted layer.

There it moves, trains and is saved with the model, and no container runs it as a layer of its own.
"""


def adapt(
    model: nn.Module,
    plan: AdapterPlan | None = None,
    *,
    adapted: str | Sequence[str] = STUDY_SUFFIXES,
    cache_dir: str | PathLike[str] | None = None,
) -> LoRAXSAdapter:
    """Adapts a model in place and returns what is trained of it besides the head.

    The encoder (`model.base_model`, as all models of transformers have it, or the model itself
    where there is none) is frozen, and its matching linear layers become LoRA-XS layers. What
    lies outside it, the head, is left as it is. Evaluated right away the model gives what it gave
    before, up to R's start at 1e-5. Weights that are loaded later are factorised anew.

    Args:
        model: a transformers model, for example an `AutoModelForSequenceClassification`, or any
            module with linear layers.
        plan: how ranks are learnt; None for the study's numbers.
        adapted: ends of the names of the linear layers to adapt, or one such end; the study's
            four by default.
        cache_dir: folder that keeps the factors for the next time; None for none.

    Returns:
        The adapter; `adapter.schedule(...)` comes before the first training step.

    Raises:
        ValueError: the model is adapted already, a name matches no linear layer, or one that can't
            be adapted (quantised, with hooks or a forward of its own, never called), rank_max is
            over min(d_in, d_out) of a matrix, or init_values are not one a matrix; then the model
            is as it was.

    Source: LoRA-XS (arXiv 2405.17604); learnt ranks by the published study.
    """
    plan = plan or AdapterPlan()
    encoder = encoder_of(model)
    require(not adapters_of(model), "model", "without an adapter", "one that has it")
    suffixes = (adapted,) if isinstance(adapted, str) else tuple(adapted)
    names = adapted_names(encoder, suffixes)
    values = plan.init_values
    is_fit = values is None or len(values) == len(names)
    rule = f"one logit for each of the {len(names)} adapted matrices"
    require(is_fit, "init_values", rule, len(values or ()))
    place = None if cache_dir is None else Path(cache_dir)
    factorise = Factoriser(plan.rank_max, place, plan.recipe)
    layers = inject(
        encoder, lambda linear: LoRAXSLinear(linear, factorise), suffixes=suffixes, whole=model
    )
    adapter = LoRAXSAdapter(layers, plan)
    first, *_ = layers.values()
    first.add_module(CHILD, adapter)
    adapter.train(encoder.training)
    save_with_adapter(model)
    return adapter
