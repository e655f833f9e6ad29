"""Which linear layers can be swapped: those whose output is W x + b, asked of the layer itself."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lora_sweep.rules import require

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
READERS = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
"""Modules that read the weights of their linear layers and don't (always) call the layers."""


def check_adaptable(model: nn.Module, name: str, linear: nn.Linear) -> None:
    """Refuses a linear layer that would lose something, or would never be called.

    Args:
        model: that it is a part of.
        name: of the layer in the model.
        linear: the layer.

    Raises:
        SettingError: its weights are quantised or not loaded, it computes more than W x + b, or
            the module around it reads its weights and passes it by.
    """
    _check_weight(name, linear)
    kind = type(linear)
    is_plain = kind.forward is nn.Linear.forward and "forward" not in vars(linear)
    rule = "an nn.Linear with torch's own forward, since another one would be lost"
    require(is_plain, name, rule, kind.__name__)
    is_stored = not parametrize.is_parametrized(linear)
    require(is_stored, name, "a layer whose weight is stored, not computed", "a parametrisation")
    n_hooks = len(linear._forward_hooks) + len(linear._forward_pre_hooks)
    n_hooks += len(linear._backward_hooks) + len(linear._backward_pre_hooks)
    require(n_hooks == 0, name, "without hooks, which would be lost", n_hooks)
    parent = model.get_submodule(name.rpartition(".")[0])
    rule = "a layer that is called by the module it lies in"
    got = f"{type(parent).__name__}, which reads its weight past it"
    require(not isinstance(parent, READERS), name, rule, got)


def _check_weight(name: str, linear: nn.Linear) -> None:
    weight = linear.weight
    is_float = type(weight.data) is Tensor and weight.dtype in FLOATS
    rule = "a layer with 16-bit, float32 or float64 weights, not quantised ones"
    got = f"{type(linear).__name__} with {type(weight.data).__name__} of {weight.dtype}"
    require(is_float, name, rule, got)
    require(not weight.is_meta, name, "a layer whose weights are loaded", "the meta device")
