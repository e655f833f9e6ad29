"""Tensors on disk: safetensors files with a checksum of all that is in them.

The checksum stands in the file's metadata, so any reader of safetensors can read the file. It is
one entry of JSON, since safetensors writes several in another order each time.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lora_sweep.errors import DamagedFileError, StorageError
from lora_sweep.files import opened, set_aside, write_whole, writing
from lora_sweep.vocabulary import CACHE_SETTING

ABOUT, CHECKSUM = "about", "sha256"
_DAMAGE = (SafetensorError, FileNotFoundError)


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
        OSError: the file is there, but can't be opened: nothing is said of what it holds.
        DamagedFileError: there is none, it is no file of tensors, or not what its checksum is of.
    """
    try:
        opened(path).close()  # safetensors says the same of no permission and of damage
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = dict(json.loads((file.metadata() or {})[ABOUT]))
    except (*_DAMAGE, ValueError, TypeError, KeyError) as error:
        raise DamagedFileError(f"{path} can't be read: {error}") from error
    if about.pop(CHECKSUM, None) != _checksum(tensors, about):
        raise DamagedFileError(f"{path} must be as it was written, but got other bytes")
    return tensors, about


def kept_tensors(
    path: Path,
    make: Callable[[], dict[str, Tensor]],
    *,
    check: Callable[[Mapping[str, Tensor]], bool] = lambda _: True,
    consequence: str,
) -> dict[str, Tensor]:
    """Returns the tensors of a cache's file, which is made and written where it is not there.

    Of several processes that ask at once, one makes it. Reading needs no writing: a filled cache
    may lie in a folder that is read-only.

    Args:
        path: of the file; its folder is made if it is not there.
        make: computes the tensors.
        check: whether tensors that were read are what `make` would return.
        consequence: of a damaged file, which is set aside, as a clause.

    Raises:
        StorageError: a file that is to be written can't be.
    """
    if path.exists():
        with suppress(DamagedFileError):  # as another process, which mends it, may find it too
            return _read_checked(path, check)
    with _alone(path):
        if path.exists():
            try:
                return _read_checked(path, check)
            except DamagedFileError as error:
                set_aside(path, error, consequence)
        tensors = make()
        write_tensors(path, tensors, {})
    return tensors


def _read_checked(path: Path, check: Callable[[Mapping[str, Tensor]], bool]) -> dict[str, Tensor]:
    tensors, _ = read_tensors(path)
    if not check(tensors):
        raise DamagedFileError(f"{path} must hold what it is named after, but got other tensors")
    return tensors


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else makes the file meanwhile."""
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"))
            lock.acquire()
    except StorageError as error:
        raise StorageError(f"{error}; another cache: {CACHE_SETTING}") from error
    try:
        yield
    finally:
        lock.release()


def _checksum(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode())
    for name in sorted(tensors):
        part = tensors[name]
        digest.update(json.dumps([name, str(part.dtype), list(part.shape)]).encode())
        digest.update(part.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
