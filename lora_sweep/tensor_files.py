"""Tensors on disk: safetensors files with a checksum of all that is in them.

The checksum stands in the file's metadata, so any reader of safetensors can read the file. It is
one entry of JSON, since safetensors writes several in another order each time.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lora_sweep.errors import DamagedFileError
from lora_sweep.files import write_whole

ABOUT, CHECKSUM = "about", "sha256"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Writes a file that appears whole or not at all.

    Args:
        path: where it appears.
        tensors: name -> values, on any device.
        about: what else is to be kept, as text.

    Raises:
        StorageError: it can't be written.
    """
    kept = {name: part.detach().cpu().contiguous() for name, part in tensors.items()}
    entry = json.dumps({**about, CHECKSUM: _checksum(kept, about)}, sort_keys=True)
    content = save(kept, {ABOUT: entry})
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns what `write_tensors` was given, on the CPU.

    Raises:
        DamagedFileError: the file can't be read, or is not what its checksum is of.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = dict(json.loads((file.metadata() or {})[ABOUT]))
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedFileError(f"{path} can't be read: {error}") from error
    if about.pop(CHECKSUM, None) != _checksum(tensors, about):
        raise DamagedFileError(f"{path} must be as it was written, but got other bytes")
    return tensors, about


def _checksum(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode())
    for name in sorted(tensors):
        part = tensors[name]
        digest.update(json.dumps([name, str(part.dtype), list(part.shape)]).encode())
        digest.update(part.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
