"""Cores that are computed for all adapted layers at once, and wait for the layers to take them.

A layer takes its core at every forward pass. The first that finds none has them computed for all;
each goes as it is taken, so that after a pass nothing is left, and none is used twice. Those that
still wait are void as soon as what they were made of has changed, or a backward pass has been
through them: then their graph is gone (`torch.utils.checkpoint` goes back block by block).
"""

from collections.abc import Callable, Hashable, Iterable

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from lora_sweep.adapters.layer import LoRAXSLinear


class CoreShares:
    """The cores (1, r, r) that no layer has taken yet."""

    def __init__(self) -> None:
        """Starts with none."""
        self._waiting: dict[LoRAXSLinear, Tensor] = {}
        self._origin: Hashable = None

    def take(
        self,
        layer: LoRAXSLinear,
        layers: Iterable[LoRAXSLinear],
        origin: Hashable,
        compute: Callable[[], tuple[Tensor, ...]],
    ) -> Tensor:
        """Returns a layer's core (1, r, r), in the type and on the device of its weight.

        Args:
            layer: that asks.
            layers: all that are adapted (N).
            origin: what the cores depend on; those of another origin are void.
            compute: returns the cores of all layers (N), parts of one tensor.
        """
        if layer not in self._waiting or self._origin != origin:
            self._waiting.clear()
            # Whatever is around this layer must not keep or compute anew what all layers share:
            # a checkpoint counts the tensors of its own block.
            with saved_tensors_hooks(_as_it_is, _as_it_is):
                cores = compute()
            self._waiting.update(zip(layers, cores, strict=True))
            self._origin = origin
            if cores[0].grad_fn is not None:
                cores[0].grad_fn.register_prehook(lambda _: self._waiting.clear())
        return self._waiting.pop(layer).to(layer.weight)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor
