"""A saved adapter, put into a fresh model over the base that it was trained on."""

import json
from os import PathLike

import torch
from torch import Tensor, nn

from lora_sweep.errors import SettingError
from lora_sweep.library.adapter import LoRAXSAdapter
from lora_sweep.library.model import adapt
from lora_sweep.library.plan import AdapterPlan
from lora_sweep.library.saving import FORMAT_VERSION, HEAD, file_at
from lora_sweep.rules import require
from lora_sweep.tensor_files import read_tensors

_SPECTRUM_TOLERANCE = 1e-2
"""Relative: far above what another precision or machine changes, far below another base."""


def load_adapter(
    model: nn.Module, path: str | PathLike[str], *, cache_dir: str | PathLike[str] | None = None
) -> LoRAXSAdapter:
    """Adapts a fresh model as a saved one was, and gives it what that one had trained.

    Args:
        model: not adapted, over the same base weights and with the same head; changed in place.
        path: what `save_adapter` wrote, or the folder that it or `save_pretrained` wrote it to.
        cache_dir: as for `adapt`.

    Returns:
        The adapter, at the step and in the schedule that it was saved in.

    Raises:
        ValueError: the file is no adapter of this version, or model, base or head are not those
            it was saved with. The model may then be adapted already: take a fresh one.
        DamagedFileError: the file can't be read, or is not what was written.
    """
    file = file_at(path)
    tensors, about = read_tensors(file)
    kind = about.get("format")
    require(kind == FORMAT_VERSION, str(file), f"a file of {FORMAT_VERSION}", kind)
    plan, names = _plan(about["plan"]), json.loads(about["names"])
    head = {
        name.removeprefix(HEAD): values
        for name, values in tensors.items()
        if name.startswith(HEAD)
    }
    _check_shapes(model, head)
    adapter = adapt(model, plan, adapted=names, cache_dir=cache_dir)
    require(list(adapter.names) == names, "model", f"with the matrices {names}", adapter.names)
    _check_base(adapter, tensors["spectra"])
    step, length = json.loads(about["place"])
    if length is not None:
        adapter.schedule(steps_per_epoch=length[0], n_epochs=length[1])
    adapter.step = step
    with torch.no_grad():
        adapter.R.copy_(tensors["R"])
        adapter.logits.copy_(tensors["logits"])
        for name, values in head.items():
            model.get_parameter(name).copy_(values).requires_grad_()
    return adapter


def _plan(text: str) -> AdapterPlan:
    settings = json.loads(text)
    values = settings["init_values"]
    return AdapterPlan(**{**settings, "init_values": values and tuple(values)})


def _check_shapes(model: nn.Module, head: dict[str, Tensor]) -> None:
    own = {name: tuple(values.shape) for name, values in model.named_parameters()}
    for name, values in head.items():
        shape = tuple(values.shape)
        require(own.get(name) == shape, f"model's {name}", f"of the shape {shape}", own.get(name))


def _check_base(adapter: LoRAXSAdapter, spectra: Tensor) -> None:
    """R means something only in the singular vectors of the weights that it was trained on."""
    own = adapter.spectra().cpu()
    near = ((own - spectra).abs() <= _SPECTRUM_TOLERANCE * spectra[:, :1]).all(dim=1)  # (N,)
    if not near.all():
        other = [
            name for name, is_near in zip(adapter.names, near.tolist(), strict=True) if not is_near
        ]
        raise SettingError(
            "model must have the base weights that the adapter was trained on, but got others "
            f"in {len(other)} of {len(own)} matrices, the first being {other[0]}"
        )
