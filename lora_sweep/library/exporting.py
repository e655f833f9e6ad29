"""An adapted model -> an adapter that PEFT loads into the plain base, without lora_sweep."""

from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path

from torch import nn

from lora_sweep.adapters.layer import LoRAXSLinear
from lora_sweep.adapters.peft_files import PeftAdapter, low_rank_update
from lora_sweep.errors import SettingError
from lora_sweep.files import new_folder
from lora_sweep.library.adapter import LoRAXSAdapter
from lora_sweep.library.parts import find_adapter
from lora_sweep.rules import require


def export_peft(
    model: nn.Module,
    folder: str | PathLike[str],
    *,
    base: str | PathLike[str] | None = None,
    uniform_rank: bool = False,
) -> None:
    """Writes an adapted model as a LoRA adapter: `PeftModel.from_pretrained(model, folder)`.

    A matrix's update s B (M o R) A, with the discrete mask of the adapter's step, is the LoRA of
    the matrix's own rank. Every module that is trained besides, the head, is saved whole; all
    else is the base's, so a reader needs the same base. The model stays as it is.

    Args:
        model: adapted.
        folder: where to; must not be there, or be empty.
        base: the base's name or folder, which the adapter names for its readers; None for what
            transformers loaded the model from.
        uniform_rank: whether all pairs of factors get one rank, by zeros, for readers that know
            no `rank_pattern`.

    Raises:
        ValueError: the model has no adapter, or one that PEFT can't put where it belongs: a layer
            with several names, a trained parameter beside adapted layers, names that PEFT would
            mistake for others.
        StorageError: the folder holds something, or can't be written.
    """
    adapter = find_adapter(model)
    names = _matrix_names(model, adapter)
    modules = {name: model.get_submodule(name) for name in _trained_modules(model)}
    _check_names(names, list(modules))
    cores, ranks = adapter.discrete_cores(), adapter.integer_ranks().values()
    found = PeftAdapter(
        updates=[
            low_rank_update(name, (layer.A, layer.B), core[:k, :k].to(layer.A.device))
            for name, layer, core, k in zip(names, adapter.layers, cores, ranks, strict=True)
        ],
        saved={
            f"{name}.{part}": values
            for name, module in modules.items()
            for part, values in module.state_dict().items()
        },
        saved_modules=list(modules),
        base=_base_name(model, base),
        dropout=adapter.plan.adapter_dropout,
    )
    with new_folder("folder", Path(folder)) as inside:
        (found.with_one_rank() if uniform_rank else found).write(inside)


def _matrix_names(model: nn.Module, adapter: LoRAXSAdapter) -> list[str]:
    """The adapted layers' names in the whole model; PEFT adapts a layer under one name only."""
    names = []
    places = list(model.named_modules(remove_duplicate=False))
    for layer in adapter.layers:
        own = [name for name, module in places if module is layer]
        require(len(own) == 1, own[0], "a layer with one name, for PEFT", f"also {own[1:]}")
        names += own
    return names


def _trained_modules(model: nn.Module, prefix: str = "") -> Iterator[str]:
    """The largest modules without an adapted layer that are trained, by name."""
    for name, parameter in model.named_parameters(prefix, recurse=False):
        rule = "a parameter of a module without adapted layers, which PEFT can save"
        require(not parameter.requires_grad, name, rule, "one beside them")
    for child, module in model.named_children():
        name = f"{prefix}.{child}" if prefix else child
        if isinstance(module, LoRAXSLinear):
            continue
        if any(isinstance(part, LoRAXSLinear) for part in module.modules()):
            yield from _trained_modules(module, name)
        elif any(parameter.requires_grad for parameter in module.parameters()):
            yield name


def _check_names(matrices: list[str], saved: list[str]) -> None:
    """PEFT compares the ends of names, so one must not be the end of another's."""
    for matrix in matrices:
        alike = [other for other in matrices if other.endswith(f".{matrix}")]
        alike += [other for other in saved if matrix.endswith(other) or f".{other}." in matrix]
        if alike:
            raise SettingError(
                f"{matrix} must have a name that PEFT can tell from all others by its end, but "
                f"got a model with {alike[0]}: rename one of the two modules"
            )


def _base_name(model: nn.Module, base: str | PathLike[str] | None) -> str | None:
    """The hub's name of the base, or its folder's path from the root; None for an unknown one."""
    name = str(getattr(model, "name_or_path", "")) if base is None else fspath(base)
    return str(Path(name).resolve()) if name and Path(name).is_dir() else name or None
