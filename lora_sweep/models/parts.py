"""What a base's folder must have: a config, all its weights, a tokeniser; and what one lacks."""

import json
from collections.abc import Collection
from pathlib import Path

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SHARDS = f"{WEIGHTS}.index.json"
_ADAPTER = "adapter_config.json"
_TOKENISERS = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
_OTHER_WEIGHTS = (".bin", ".h5", ".msgpack", ".ot", ".onnx", ".pt", ".pth", ".ckpt", ".gguf")
_POINTER = b"version https://git-lfs"
_CONVERT = "convert it once with examples/convert_base.py, and give its folder with model.path=DIR"


def folder_fault(folder: Path) -> str | None:
    """Returns what a folder lacks to be a base, as the end of a sentence; None for a whole one.

    Args:
        folder: of a model, or any path.
    """
    names = {path.name for path in folder.glob("*") if path.is_file()}
    if CONFIG not in names and _ADAPTER not in names:
        return _no_config(folder)
    return names_fault(names, str(folder)) or _missing_shards(folder) or _unreadable(folder)


def names_fault(names: Collection[str], where: str) -> str | None:
    """Returns what a list of files lacks to be a base, as `folder_fault` does.

    Args:
        names: of files, by their paths from the model's folder on.
        where: what has them, in words.
    """
    if _ADAPTER in names:
        return (
            f"must be a base alone, but {where} has an adapter of PEFT ({_ADAPTER}): merge it "
            "into its base with PEFT's merge_and_unload(), and give the folder that saves it"
        )
    if CONFIG not in names:
        return f"must be a folder with a {CONFIG}, but {where} has none{_inner(names)}"
    if WEIGHTS not in names and SHARDS not in names:
        others = sorted(name for name in names if name.endswith(_OTHER_WEIGHTS))
        if not others:
            return f"must have safetensors weights, but {where} has none"
        return (
            f"must have safetensors weights, but {where} has {', '.join(others[:3])} "
            f"(pickled weights are never read; {_CONVERT})"
        )
    if not any(set(files) <= set(names) for files in _TOKENISERS):
        others = sorted(name for name in names if name.endswith(".model"))
        found = f"{', '.join(others)} ({_CONVERT})" if others else "none"
        return (
            "must have a tokeniser (tokenizer.json, or vocab.txt, or vocab.json with merges.txt), "
            f"but {where} has {found}"
        )
    return None


def _no_config(folder: Path) -> str:
    if folder.is_file():
        return f"must be a folder with a {CONFIG}, but {folder} is a file: give its folder"
    inner = [*folder.glob("*/*"), *folder.glob("snapshots/*/*")]  # where people's folders have it
    fault = names_fault({str(path.relative_to(folder)) for path in inner}, str(folder))
    assert fault is not None
    return fault


def _inner(names: Collection[str]) -> str:
    """The folders below that a user may have meant: those with config and weights."""
    with_config = {name.removesuffix(f"/{CONFIG}") for name in names if name.endswith(CONFIG)}
    weights = (WEIGHTS, SHARDS, "pytorch_model.bin")
    bases = sorted(sub for sub in with_config if any(f"{sub}/{file}" in names for file in weights))
    return f": give a folder within it ({', '.join(bases[:3])})" if bases else ""


def _missing_shards(folder: Path) -> str | None:
    if (folder / WEIGHTS).is_file():
        return None
    try:
        shards = set(
            json.loads((folder / SHARDS).read_text(encoding="utf-8"))["weight_map"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"must have a {SHARDS} that names its weights, but {folder} has one with {error!r}"
    missing = sorted(name for name in shards if not (folder / name).is_file())
    if not missing:
        return None
    more = " ..." if len(missing) > 3 else ""
    return (
        f"must have all files that {SHARDS} names, but {folder} lacks {len(missing)} of "
        f"{len(shards)}: {', '.join(missing[:3])}{more}; copy or download them again"
    )


def _unreadable(folder: Path) -> str | None:
    files = [*folder.glob("*.safetensors"), *(folder / name for (name, *_) in _TOKENISERS)]
    for file in filter(Path.is_file, sorted(files)):
        try:
            with file.open("rb") as stream:
                start = stream.read(len(_POINTER))
        except OSError as error:
            return f"must have files that can be read, but got {error}"
        if start == _POINTER:
            return (
                f"must have whole files, but {file.name} in {folder} is a pointer of Git LFS: "
                "run `git lfs pull` there"
            )
    return None
