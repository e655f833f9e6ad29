"""An adapter on disk: what was trained, the plan, and what tells the base it belongs to.

R                   (N, r, r)
logits              (N,)
spectra             (N, r)      leading singular values: those of the base it was trained on
head/NAME                       what else the model trains

A model's own `save_pretrained` writes the file too, beside the model's weights: `from_pretrained`
builds a plain model, and knows nothing of R.
"""

import json
import logging
from dataclasses import asdict
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lora_sweep.library.parts import adapters_of, find_adapter, head_parameters
from lora_sweep.tensor_files import write_tensors

FORMAT_VERSION = "lora_xs_adapter 1"
FILE_NAME = "lora_xs_adapter.safetensors"
"""Of the file in a folder."""
HEAD = "head/"

log = logging.getLogger(__name__)


def save_adapter(model: nn.Module, path: str | PathLike[str]) -> None:
    """Writes what an adapted model has trained into one safetensors file, without its base.

    Args:
        model: adapted.
        path: of the file, whose folder exists; or a folder, for `lora_xs_adapter.safetensors` in
            it.

    Raises:
        ValueError: the model has no adapter.
        StorageError: the file can't be written.
    """
    adapter = find_adapter(model)
    tensors: dict[str, Tensor] = {
        "R": adapter.R,
        "logits": adapter.logits,
        "spectra": adapter.spectra(),
        **{HEAD + name: values for name, values in head_parameters(model).items()},
    }
    about = {
        "format": FORMAT_VERSION,
        "plan": json.dumps(asdict(adapter.plan)),
        "names": json.dumps(adapter.names),
        "place": json.dumps([adapter.step, adapter.length]),
    }
    write_tensors(file_at(path), tensors, about)


def file_at(path: str | PathLike[str]) -> Path:
    """Returns the adapter's file at a path: the path itself, or its place in a folder."""
    return Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)


def save_with_adapter(model: nn.Module) -> None:
    """Lets `save_pretrained`, of a model and of its parts, write the adapter too."""
    for part in _savable(model):
        part.save_pretrained = _SavePretrained(part)


def save_without_adapter(model: nn.Module) -> None:
    """Gives a model and its parts their own `save_pretrained` back."""
    for part in model.modules():
        if isinstance(vars(part).get("save_pretrained"), _SavePretrained):
            del part.save_pretrained


class _SavePretrained:
    """A model's `save_pretrained`, and the adapter's file; a class, so that it can be pickled."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        method = type(self.model).save_pretrained
        given = signature(method).bind(self.model, *args, **kwargs).arguments
        own = method(self.model, *args, **kwargs)
        _, folder, *_ = given.values()
        if given.get("is_main_process", True) and adapters_of(self.model):
            save_adapter(self.model, folder)
            log.warning(
                "%s: from_pretrained builds the model without its adapter, whatever it says of "
                "lora_xs; then call lora_sweep.load_adapter(model, %r). Or save a plain model: "
                "lora_sweep.merge(model) first",
                folder,
                str(folder),
            )
        return own


def _savable(model: nn.Module) -> list[Any]:
    """The model and those of its parts that hold the adapter and can be saved by themselves."""
    parts = [part for part in model.modules() if hasattr(type(part), "save_pretrained")]
    return [part for part in parts if adapters_of(part)]
