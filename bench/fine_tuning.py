"""What a base reaches without adapters: full fine-tuning and the head alone, in plain torch.

The yardsticks of a sweep: a frozen encoder with low-rank adapters can't be judged without knowing
what training everything, or nothing but the head, reaches on the same sentences.

    python -m bench.fine_tuning --data PATH/TO/cola_public/raw --train full --lr 1e-4 --seeds 5
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import matthews_corrcoef
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding, get_linear_schedule_with_warmup, set_seed

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.data.sources import load_cola
from lora_sweep.models.base import find_base, load_encoder, load_tokenizer

WARMUP = 0.06


class Classifier(nn.Module):
    """An encoder, its first token or the mean over its tokens, and the head of a sweep's runs."""

    def __init__(self, base: Path, *, pooling: str, in_bfloat16: bool) -> None:
        """Loads the encoder; the head starts at random.

        Args:
            base: folder of a transformers encoder.
            pooling: `cls` or `mean`.
            in_bfloat16: whether the encoder's products are in bfloat16; weights stay float32.
        """
        super().__init__()
        self.encoder = load_encoder(base, dropout=None, attention=None, device=torch.device("cpu"))
        self.pooling, self.in_bfloat16 = pooling, in_bfloat16
        d = int(self.encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
        dense, out = nn.Linear(d, d), nn.Linear(d, 2)
        for part in (dense, out):
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)
        self.head = nn.Sequential(nn.Dropout(0.1), dense, nn.Tanh(), nn.Dropout(0.1), out)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **others: Tensor) -> Tensor:
        """Returns the logits (b, 2) of sentences (b, L)."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.in_bfloat16):
            outputs = self.encoder(input_ids, attention_mask=attention_mask, **others)
        hidden = outputs.last_hidden_state.float()
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            is_real = attention_mask[..., None].to(hidden.dtype)  # (b, L, 1)
            pooled = (hidden * is_real).sum(dim=1) / is_real.sum(dim=1)
        logits: Tensor = self.head(pooled)
        return logits


def rows(texts: LabelledTexts, tokenizer: Any) -> list[dict[str, Any]]:
    """Returns one row per sentence: its token ids and its label."""
    ids = tokenizer(list(texts.texts), truncation=True, max_length=128)["input_ids"]
    return [
        {"input_ids": own, "labels": label} for own, label in zip(ids, texts.labels, strict=True)
    ]


@torch.no_grad()
def evaluate(model: nn.Module, batches: DataLoader[Any]) -> float:
    """Returns the Matthews correlation × 100 over the batches' sentences."""
    model.eval()
    predicted, labels = [], []
    for batch in batches:
        labels.append(batch.pop("labels"))
        predicted.append(model(**batch).argmax(dim=-1))
    correlation = matthews_corrcoef(torch.cat(labels).numpy(), torch.cat(predicted).numpy())
    return 100 * float(correlation)


def train(arguments: argparse.Namespace, seed: int) -> list[float]:
    """Returns the dev metric after each epoch of one run."""
    set_seed(seed)
    base = find_base(arguments.base, None)
    tokenizer, corpus = load_tokenizer(base), load_cola(arguments.data)
    collate = DataCollatorWithPadding(tokenizer)
    dev: Any = [row for part in corpus.dev.values() for row in rows(part, tokenizer)]
    dev_batches = DataLoader(dev, batch_size=256, collate_fn=collate)
    train_rows: Any = rows(corpus.train, tokenizer)
    batches: Any = DataLoader(train_rows, batch_size=32, shuffle=True, collate_fn=collate)
    in_bfloat16 = arguments.precision == "bfloat16"
    model = Classifier(base, pooling=arguments.pooling, in_bfloat16=in_bfloat16)
    model.encoder.requires_grad_(arguments.train == "full")
    groups = [{"params": list(model.head.parameters()), "lr": arguments.lr_head}]
    if arguments.train == "full":
        groups.append({"params": list(model.encoder.parameters()), "lr": arguments.lr})
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    n_steps = len(batches) * arguments.epochs
    n_warmup = int(WARMUP * n_steps)
    rates = get_linear_schedule_with_warmup(optimiser, n_warmup, n_steps)  # type: ignore[no-untyped-call]
    metric = []
    for _ in range(arguments.epochs):
        model.train()
        for batch in batches:
            labels = batch.pop("labels")
            loss = nn.functional.cross_entropy(model(**batch), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            rates.step()
            optimiser.zero_grad()
        metric.append(evaluate(model, dev_batches))
    return metric


def main() -> None:
    """Trains the seeds and prints each run's metric per epoch, then the median ± std."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="CoLA's folder raw")
    parser.add_argument("--base", default="minilm")
    parser.add_argument("--train", choices=("full", "head"), default="full")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--pooling", choices=("cls", "mean"), default="mean")
    parser.add_argument("--lr", type=float, default=1e-4, help="learning rate of the encoder")
    parser.add_argument("--lr-head", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    best = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        start = time.monotonic()
        metric = train(arguments, seed)
        best.append(max(metric))
        seconds = time.monotonic() - start
        shown = [round(value, 2) for value in metric]
        print(json.dumps({"seed": seed, "metric": shown, "seconds": round(seconds)}), flush=True)
    spread = statistics.stdev(best) if len(best) > 1 else float("nan")
    print(f"{arguments.train}: best epoch {statistics.median(best):.2f} ± {spread:.2f}")


if __name__ == "__main__":
    main()
