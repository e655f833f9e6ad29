"""An adapted model -> a plain one, with the update in its weights."""

import torch
from torch import Tensor, nn

from lora_sweep.adapters.inject import swap
from lora_sweep.adapters.layer import LoRAXSLinear
from lora_sweep.library.parts import find_adapter
from lora_sweep.library.saving import save_without_adapter


@torch.no_grad()
def merge(model: nn.Module) -> nn.Module:
    """Makes an adapted model a plain one, in place: its linear layers hold W + s B (M o R) A.

    The masks are the discrete ones of the adapter's step, so the model gives what it gave in
    evaluation, up to rounding in the type of its weights. What the adapter trained can't be taken
    out again: save it first, with `save_adapter`, to go on training it. What was frozen stays so.

    Args:
        model: adapted.

    Returns:
        The model.

    Raises:
        ValueError: the model has no adapter.
    """
    adapter = find_adapter(model)
    layers = dict(zip(adapter.layers, adapter.discrete_cores(), strict=True))
    swap(model, {layer: _merged(layer, core) for layer, core in layers.items()})
    save_without_adapter(model)
    return model


def _merged(layer: LoRAXSLinear, core: Tensor) -> nn.Linear:
    """A linear layer with the update of a core s (M o R) (r, r)."""
    weight, r = layer.weight, len(core)
    update = layer.B[:, :r].double() @ core.to(weight.device).double() @ layer.A[:r].double()
    d_out, d_in = weight.shape
    linear = nn.Linear(d_in, d_out, bias=layer.bias is not None, device="meta")
    linear.weight = _frozen((weight.double() + update).to(weight.dtype))
    if layer.bias is not None:
        linear.bias = _frozen(layer.bias.clone())
    return linear.train(layer.training)


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
