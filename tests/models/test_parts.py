"""What a folder lacks to be a base, told from its files; whatever people have in theirs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lora_sweep.errors import BaseModelError
from lora_sweep.models.base import find_base, load_encoder
from lora_sweep.models.parts import SHARDS, folder_fault, names_fault

CPU = torch.device("cpu")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base, which a test may change."""
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


@pytest.fixture
def sharded(copy: Path) -> Path:
    """The same with its weights in two files."""
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {
        "model-00001-of-00002.safetensors": names[:9],
        "model-00002-of-00002.safetensors": names[9:],
    }
    for file, own in parts.items():
        save_file({name: weights[name] for name in own}, copy / file, {"format": "pt"})
    index = {name: file for file, own in parts.items() for name in own}
    (copy / SHARDS).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return copy


def test_whole_folder_has_no_fault(tiny_base: Path, sharded: Path) -> None:
    assert folder_fault(tiny_base) is None and folder_fault(sharded) is None


def test_shards_are_the_same_weights(tiny_base: Path, sharded: Path) -> None:
    one, two = (
        load_encoder(folder, dropout=None, attention=None, device=CPU).state_dict()
        for folder in (tiny_base, sharded)
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_missing_shard_is_told(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        BaseModelError,
        match=rf"^model\.path=.* must have all files that {SHARDS} names, but .*copy lacks 1 of "
        r"2: model-00002-of-00002\.safetensors; copy or download",
    ):
        find_base("any", str(sharded))


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": null}'])
def test_unreadable_index_is_told(content: str, sharded: Path) -> None:
    (sharded / SHARDS).write_text(content)
    assert (folder_fault(sharded) or "").startswith(f"must have a {SHARDS} that names its weights")


@pytest.mark.parametrize(
    "files", [["tokenizer.json"], ["vocab.txt"], ["vocab.json", "merges.txt"]], ids=" ".join
)
def test_whole_tokeniser_is_no_fault(files: list[str]) -> None:
    assert names_fault(["config.json", "model.safetensors", *files], "there") is None


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "none"),
        (["vocab.json"], "none"),
        (["merges.txt", "tokenizer_config.json"], "none"),
        (["spm.model", "tokenizer_config.json"], "spm.model (convert it once with"),
        (["sentencepiece.bpe.model"], "sentencepiece.bpe.model (convert it once with"),
    ],
)
def test_half_a_tokeniser_is_told(files: list[str], found: str) -> None:
    told = names_fault(["config.json", "model.safetensors", *files], "there") or ""
    assert told.startswith("must have a tokeniser") and f"but there has {found}" in told


def test_missing_weights_are_no_pickled_ones() -> None:
    told = names_fault(["config.json", "tokenizer.json"], "there")
    assert told == "must have safetensors weights, but there has none"


@pytest.mark.parametrize("other", ["pytorch_model.bin", "tf_model.h5", "model.onnx"])
def test_weights_in_another_format_are_named(other: str) -> None:
    told = names_fault({"config.json", "tokenizer.json", other}, "there")
    assert told is not None
    assert told.startswith(f"must have safetensors weights, but there has {other} (pickled")


@pytest.mark.parametrize("beside_a_base", [False, True])
def test_adapter_of_peft_is_refused(beside_a_base: bool, copy: Path) -> None:
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "some/model"}')
    if not beside_a_base:
        (copy / "config.json").unlink()
        (copy / "model.safetensors").rename(copy / "adapter_model.safetensors")
    with pytest.raises(BaseModelError, match=r"has an adapter of PEFT .*merge_and_unload"):
        find_base("any", str(copy))


@pytest.mark.parametrize("inner", ["0_Transformer", "checkpoint-500", "snapshots/0abc"])
def test_folder_within_is_named(inner: str, tiny_base: Path, tmp_path: Path) -> None:
    """Old sentence-transformers, a Trainer's output, a model's folder in the hub's cache."""
    shutil.copytree(tiny_base, tmp_path / "outer" / inner)
    pooling = tmp_path / "outer" / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text("{}")
    (tmp_path / "outer" / "modules.json").write_text("[]")
    with pytest.raises(BaseModelError, match=rf"config\.json, but .* within it \({inner}\)$"):
        find_base("any", str(tmp_path / "outer"))
    assert find_base("any", str(tmp_path / "outer" / inner)).name == Path(inner).name


def test_file_is_no_folder(tiny_base: Path) -> None:
    with pytest.raises(BaseModelError, match=r"model\.safetensors is a file: give its folder$"):
        find_base("any", str(tiny_base / "model.safetensors"))


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_pointer_of_git_lfs_is_told(file: str, copy: Path) -> None:
    (copy / file).write_text(POINTER)
    fault = folder_fault(copy) or ""
    assert fault.startswith("must have whole files") and f"but {file} in" in fault
    assert "git lfs pull" in fault


def test_file_of_somebody_else_is_told(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(file: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "open", closed)
    told = r"files that can be read, but got .*Permission denied.*model\.safetensors"
    with pytest.raises(BaseModelError, match=told):
        find_base("any", str(copy))


def test_link_to_a_file_that_is_gone_is_none(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy.parent / "blob")
    (copy / "model.safetensors").symlink_to(copy.parent / "blob")
    assert folder_fault(copy) is None
    (copy.parent / "blob").unlink()
    assert (folder_fault(copy) or "").startswith("must have safetensors weights")


Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


def rewritten(folder: Path, change: Change, metadata: dict[str, str] | None) -> Path:
    """The folder with other weights in its file."""
    weights = change(load_file(folder / "model.safetensors"))
    save_file(weights, folder / "model.safetensors", metadata)
    return folder


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_base_is_float32_in_memory(dtype: torch.dtype, copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    rewritten(copy, lambda own: {name: w.to(dtype) for name, w in own.items()}, {"format": "pt"})
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"dtype": str(dtype)[6:]}))
    encoder = load_encoder(copy, dropout=None, attention=None, device=CPU)
    for name, parameter in encoder.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, weights[name].to(dtype).float())


def test_weights_without_metadata_are_read(copy: Path) -> None:
    expected = load_file(copy / "model.safetensors")
    rewritten(copy, dict, None)
    encoder = load_encoder(copy, dropout=None, attention=None, device=CPU)
    assert all(torch.equal(w, expected[name]) for name, w in encoder.named_parameters())


@pytest.mark.parametrize("prefix", ["module.", "0.auto_model.", "_orig_mod.", "encoder.model."])
def test_weights_under_other_names_are_refused(prefix: str, copy: Path) -> None:
    """A wrapper's names: transformers would find none of the weights, and draw all at random."""
    rewritten(copy, lambda own: {prefix + name: w for name, w in own.items()}, {"format": "pt"})
    with pytest.raises(BaseModelError, match=r"must have all that the model needs, but \d+ are"):
        load_encoder(copy, dropout=None, attention=None, device=CPU)


def test_one_missing_weight_is_refused(copy: Path) -> None:
    lost = "encoder.layer.1.attention.self.value.weight"
    rewritten(copy, lambda own: {n: w for n, w in own.items() if n != lost}, {"format": "pt"})
    with pytest.raises(BaseModelError, match=rf"but 1 are missing \({lost}\)"):
        load_encoder(copy, dropout=None, attention=None, device=CPU)
