"""What the examples share: the embedded base model and sentences, and how well a model judges."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import DataCollatorWithPadding

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.data.sources import load_minimal_pairs
from lora_sweep.metrics import metric_values
from lora_sweep.models.base import find_base, load_tokenizer

Row = dict[str, Any]


def arguments(description: str | None) -> argparse.Namespace:
    """Returns the sizes that an example was asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--n-train", type=int, default=2000, help="training sentences")
    parser.add_argument("--n-dev", type=int, default=200, help="dev sentences")
    parser.add_argument("--epochs", type=int, default=3)
    return parser.parse_args()


def load(n_train: int, n_dev: int) -> tuple[Path, list[Row], list[Row], Any]:
    """Returns the base's folder, tokenised train and dev rows, and what pads rows to a batch."""
    base = find_base("minilm", None)
    tokenizer = load_tokenizer(base)
    corpus = load_minimal_pairs(seed=0, n_train=n_train, n_dev=n_dev, n_out_of_domain=20)

    def rows(texts: LabelledTexts) -> list[Row]:
        ids = tokenizer(list(texts.texts))["input_ids"]
        return [
            {"input_ids": own, "labels": label}
            for own, label in zip(ids, texts.labels, strict=True)
        ]

    return (
        base,
        rows(corpus.train),
        rows(corpus.dev["in_domain"]),
        DataCollatorWithPadding(tokenizer),
    )


@torch.no_grad()
def matthews(model: nn.Module, rows: list[Row], collate: Any) -> float:
    """Returns the Matthews correlation of a model's judgements with the labels."""
    model.eval()
    batch = collate(rows).to(next(model.parameters()).device)
    predicted = model(**batch).logits.argmax(dim=-1)
    names = ("matthews_correlation",)
    return metric_values(names, predicted.cpu().numpy(), batch["labels"].cpu().numpy())[names[0]]
