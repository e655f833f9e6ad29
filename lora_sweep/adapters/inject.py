"""Swaps an encoder's linear layers for LoRA-XS layers and freezes everything else."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lora_sweep.adapters.layer import LoRAXSLinear

STUDY_SUFFIXES = ("query", "value", "attention.output.dense", "output.dense")
"""The matrices that the published study adapts, by the end of their module names."""

Factorise = Callable[[Tensor], tuple[Tensor, Tensor]]


def adapted_names(model: nn.Module, suffixes: Sequence[str]) -> list[str]:
    """Returns the names of the linear layers that end in one of the suffixes, in module order.

    A suffix matches whole parts of a name: `dense` matches `output.dense`, not `condense`.

    Raises:
        ValueError: a suffix matches nothing; the message lists what there is.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    for suffix in suffixes:
        if not any(_ends_in(name, suffix) for name in linear):
            endings = sorted({name.rsplit(".", 1)[-1] for name in linear})
            raise ValueError(
                "model.adapted must name linear layers of the model by the end of their names "
                f"(there are {', '.join(endings) or 'none'}), but got {suffix!r}"
            )
    return [name for name in linear if any(_ends_in(name, suffix) for suffix in suffixes)]


def inject(
    model: nn.Module, factorise: Factorise, *, suffixes: Sequence[str] = STUDY_SUFFIXES
) -> dict[str, LoRAXSLinear]:
    """Swaps the matching linear layers in place and freezes all of the model.

    Args:
        model: an encoder.
        factorise: weight (d_out, d_in) -> A (r, d_in), B (d_out, r).
        suffixes: ends of the module names to adapt; the published study's four by default.

    Returns:
        Module name -> new layer, in module order: the N adapted matrices.

    Raises:
        ValueError: a suffix matches nothing, or a weight can't be factorised; then the model is
            as it was.
    """
    names = adapted_names(model, suffixes)
    layers = {}
    for name in names:
        linear = model.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        try:
            A, B = factorise(linear.weight.detach())
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        layers[name] = LoRAXSLinear(linear, A, B)
    for name, layer in layers.items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer)
    model.requires_grad_(False)
    return layers


def _ends_in(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")
