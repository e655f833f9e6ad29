"""Swaps an encoder's linear layers for ones that take updates, and freezes everything else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from torch import nn

from lora_sweep.adapters.adaptable import check_adaptable
from lora_sweep.adapters.layer import AdaptedLinear

Layer = TypeVar("Layer", bound=AdaptedLinear)

STUDY_SUFFIXES = ("query", "value", "attention.output.dense", "output.dense")
"""The matrices that the published study adapts, by the end of their module names."""


def adapted_names(model: nn.Module, suffixes: Sequence[str]) -> list[str]:
    """Returns the names of the linear layers that end in one of the suffixes, in module order.

    A suffix matches whole parts of a name: `dense` matches `output.dense`, not `condense`. A layer
    that has several names is there once, under the first that matches.

    Raises:
        ValueError: there is no suffix, or one matches nothing; the message lists what there is.
    """
    linear = [name for name, module in _places(model) if isinstance(module, nn.Linear)]
    for suffix in suffixes or ("",):
        if not any(_ends_in(name, suffix) for name in linear):
            endings = sorted({name.rsplit(".", 1)[-1] for name in linear})
            raise ValueError(
                "model.adapted must name linear layers of the model by the end of their names "
                f"(there are {', '.join(endings) or 'none'}), but got {suffix!r}"
            )
    matching = [name for name in linear if any(_ends_in(name, suffix) for suffix in suffixes)]
    first_name = {model.get_submodule(name): name for name in reversed(matching)}
    return [name for name in matching if first_name[model.get_submodule(name)] == name]


def inject(
    model: nn.Module,
    make_layer: Callable[[nn.Linear], Layer],
    *,
    suffixes: Sequence[str] = STUDY_SUFFIXES,
    whole: nn.Module | None = None,
) -> dict[str, Layer]:
    """Swaps the matching linear layers in place and freezes all of the model.

    Args:
        model: an encoder.
        make_layer: linear layer -> what takes its place.
        suffixes: ends of the module names to adapt; the published study's four by default.
        whole: what the encoder is a part of: layers that it shares are swapped there too.

    Returns:
        Module name -> new layer, in module order: the N adapted matrices.

    Raises:
        ValueError: a suffix matches nothing, a layer is none that can be swapped, or a weight
            can't be factorised; then the model is as it was.
    """
    layers: dict[str, Layer] = {}
    new_of: dict[nn.Module, nn.Module] = {}
    for name in adapted_names(model, suffixes):
        linear = model.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        check_adaptable(model, name, linear)
        try:
            layers[name] = make_layer(linear)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        new_of[linear] = layers[name]
    swap(whole or model, new_of)
    model.requires_grad_(False)
    return layers


def swap(model: nn.Module, new_of: Mapping[nn.Module, nn.Module]) -> None:
    """Puts other modules in the place of a model's own, under every name that those have.

    Args:
        model: changed in place.
        new_of: module -> what takes its place.
    """
    for name, module in list(_places(model)):
        if module in new_of:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, new_of[module])


def _places(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module of a model with its name, once for each name that it has."""
    yield from model.named_modules(remove_duplicate=False)


def _ends_in(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")
