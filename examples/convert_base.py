"""Saves a base as runs read one: safetensors weights and a fast tokeniser.

    pip install sentencepiece
    python examples/convert_base.py microsoft/deberta-v3-base bases/deberta-v3-base
    python -m lora_sweep model=deberta_v3_base model.path=bases/deberta-v3-base

The hub has DeBERTa-v3 as a pickle and with a tokeniser of sentencepiece alone. Pickled weights are
read here, once, and as nothing but tensors (`weights_only` of `torch.load`).
"""

import sys

import torch
from transformers import AutoModel, AutoTokenizer

from lora_sweep.models.base import find_base, load_encoder, load_tokenizer


def convert(source: str, folder: str) -> None:
    """Writes the base and checks that a run can read it.

    Args:
        source: a model of the hub, or a folder.
        folder: where to.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (ImportError, ValueError) as error:
        sys.exit(f"{error}\nIf the tokeniser is one of sentencepiece: pip install sentencepiece")
    AutoModel.from_pretrained(source, weights_only=True).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    base = find_base(source, folder)
    load_tokenizer(base)
    load_encoder(base, dropout=None, attention=None, device=torch.device("cpu"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/convert_base.py MODEL FOLDER")
    convert(*sys.argv[1:])
    print(f"{sys.argv[2]} is a base: model.path={sys.argv[2]}")
