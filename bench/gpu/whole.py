"""A whole sweep on a GPU: the study's 110 runs at a small size, from the command to the report."""

import subprocess
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bench.gpu.checks import Check
from lora_sweep.data.sources import load_minimal_pairs

N_RUNS = 110
SPECIAL = PAD, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


def checks(device: torch.device, base: Path, folder: Path) -> list[Check]:
    """Returns the check: minutes from command to table.

    Args:
        device: where it trains.
        base: folder of a small base.
        folder: where the sweep goes.
    """
    return [Check("110 runs, minutes end to end", "", lambda: _sweep(device, base, folder))]


def small_base(folder: Path, *, d: int = 384, n_layers: int = 6, n_heads: int = 12) -> Path:
    """Fills a folder with a random encoder, of MiniLM's shape, and a tokeniser, and returns it."""
    corpus = load_minimal_pairs(seed=0, n_train=2000, n_dev=200, n_out_of_domain=100)
    words = sorted({word for text in corpus.train.texts for word in _words(text)})
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Whitespace()
    ends = [(token, vocabulary[token]) for token in (FIRST, LAST)]
    tokenizer.post_processor = TemplateProcessing(single=f"{FIRST} $A {LAST}", special_tokens=ends)
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=FIRST,
        sep_token=LAST,
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=d,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        intermediate_size=4 * d,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


def _words(text: str) -> list[str]:
    return [word for word, _ in Whitespace().pre_tokenize_str(text)]


def _sweep(device: torch.device, base: Path, folder: Path) -> tuple[float, str]:
    sweep = folder / "whole"
    command = [
        sys.executable, "-m", "lora_sweep", "--multirun", "sweep=initializations",
        f"model.path={base}", "data=minimal_pairs", "training=short", "training.epochs=1",
        "training.epochs_discrete=0", "learning_rate=minilm", f"device={device.type}",
        f"paths.sweep={sweep}",
    ]  # fmt: skip
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    taken = time.monotonic() - started
    n_done = len(list(sweep.glob("*/result.json")))
    if done.returncode or n_done != N_RUNS:
        raise RuntimeError(f"exit code {done.returncode}, {n_done} runs: {done.stderr[-1000:]}")
    is_reported = (sweep / "report.html").is_file()
    return taken / 60, f"{n_done} runs, report {'written' if is_reported else 'MISSING'}"
