"""The example that converts a base: pickled weights and other tokenisers become what runs read."""

import importlib.util
import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lora_sweep.errors import BaseModelError
from lora_sweep.models.base import find_base, load_tokenizer

from ..conftest import make_base

EXAMPLE = Path(__file__).parents[2] / "examples" / "convert_base.py"


@pytest.fixture(scope="module")
def convert() -> Callable[[str, str], None]:
    function: Callable[[str, str], None] = runpy.run_path(str(EXAMPLE))["convert"]
    return function


def pickled(folder: Path) -> dict[str, torch.Tensor]:
    """Puts a folder's weights into a pickle, in half precision, and returns them."""
    weights = {name: w.half() for name, w in load_file(folder / "model.safetensors").items()}
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return weights


def test_pickled_base_becomes_one_of_the_same_weights(
    convert: Callable[[str, str], None], tiny_base: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(tiny_base, tmp_path / "source"))
    weights = pickled(source)
    with pytest.raises(BaseModelError, match=r"must have safetensors weights.*convert_base\.py"):
        find_base("any", str(source))
    convert(str(source), str(tmp_path / "base"))
    written = load_file(find_base("any", str(tmp_path / "base")) / "model.safetensors")
    assert written.keys() == weights.keys()
    assert all(torch.equal(written[name].float(), w.float()) for name, w in weights.items())
    text = "cat sees zebra"
    first, second = (load_tokenizer(f)(text)["input_ids"] for f in (tiny_base, tmp_path / "base"))
    assert first == second


@pytest.fixture
def deberta_of_the_hub(tmp_path: Path) -> Path:
    """A tiny DeBERTa as the hub has it: a pickle, and a vocabulary of sentencepiece."""
    folder = make_base(tmp_path / "deberta", "deberta-v2")
    pickled(folder)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    (folder / "spm.model").write_bytes(b"")
    return folder


@pytest.mark.skipif(
    importlib.util.find_spec("sentencepiece") is not None, reason="sentencepiece is installed"
)
def test_missing_sentencepiece_is_told(
    convert: Callable[[str, str], None], deberta_of_the_hub: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="pip install sentencepiece"):
        convert(str(deberta_of_the_hub), str(tmp_path / "base"))
    assert not (tmp_path / "base").exists()


TRAIN_AND_ENCODE = """
import json, sys, sentencepiece
folder, line, words = sys.argv[1], sys.argv[2], sys.argv[2].split()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter([f"{a} {b} {a}" for a in words for b in words]),
    model_prefix=f"{folder}/spm", vocab_size=14, minloglevel=2,
    pad_id=0, pad_piece="[PAD]", bos_id=1, bos_piece="[CLS]",
    eos_id=2, eos_piece="[SEP]", unk_id=3, unk_piece="[UNK]",
)
print(json.dumps(sentencepiece.SentencePieceProcessor(f"{folder}/spm.model").encode(line)))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("sentencepiece") is None, reason="sentencepiece is not installed"
)
def test_vocabulary_of_sentencepiece_becomes_a_fast_tokeniser(
    convert: Callable[[str, str], None], deberta_of_the_hub: Path, tmp_path: Path
) -> None:
    line = "the hat that a tea heat"  # few letters: the base has 16 tokens
    # In a process of its own, for its library and that of torch don't bear each other.
    command = [sys.executable, "-c", TRAIN_AND_ENCODE, str(deberta_of_the_hub), line]
    ids = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    convert(str(deberta_of_the_hub), str(tmp_path / "base"))
    read = load_tokenizer(find_base("any", str(tmp_path / "base")))(line)["input_ids"]
    assert read == [1, *ids, 2]
