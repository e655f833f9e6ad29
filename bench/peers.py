"""The peer: transformers' Trainer with PEFT's LoRA on the same matrices, padded by batch."""

import tempfile
from collections.abc import Callable
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from bench.measure import Row, medians, paired
from bench.work import Stepper, cell, load
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.execution.inputs import base_folder
from lora_sweep.models.base import load_tokenizer

STEPS = 20
LORA_RANK = 8


class _Texts(Dataset[dict[str, Any]]):
    def __init__(self, texts: TokenisedTexts) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> dict[str, Any]:
        start, stop = self.texts.offsets[i], self.texts.offsets[i + 1]
        return {
            "input_ids": self.texts.ids[start:stop].tolist(),
            "labels": int(self.texts.labels[i]),
        }


def against_peer(stepper: Stepper, n_pairs: int) -> Row:
    """Our LoRA-XS against the peer's LoRA with r = 25."""
    pairs = paired(_trainer(stepper, 25), _blocks(stepper), n_pairs=n_pairs)
    return Row(
        "step vs peer",
        "steps per second against transformers' Trainer + PEFT LoRA r = 25 on the same matrices, "
        f"dynamic padding, float32; blocks of {STEPS} steps",
        ">= 2.2",
        [a / b for a, b in pairs],
        medians(pairs, per=STEPS),
    )


def plain_lora(n_pairs: int) -> list[Row]:
    """Our plain LoRA against the peer's, of one rank; and eight of our runs against one."""
    config = cell("adapter=lora", f"rank=fixed_{LORA_RANK}")
    encoder, texts = load(config)
    single, many = (Stepper(config, encoder, texts, n) for n in (1, 8))
    against_peers = paired(_trainer(single, LORA_RANK), _blocks(single), n_pairs=n_pairs)
    against_single = paired(many.step, single.step, n_pairs=2 * n_pairs)
    return [
        Row(
            "LoRA vs peer",
            f"steps per second of plain LoRA r = {LORA_RANK}, one run, against transformers' "
            f"Trainer + PEFT with the same r and matrices; blocks of {STEPS} steps",
            ">= 2",
            [a / b for a, b in against_peers],
            medians(against_peers, per=STEPS),
        ),
        Row(
            "LoRA, pack",
            f"cost of a run's step at K = 8 over K = 1, plain LoRA r = {LORA_RANK}",
            "<= 1.0",
            [a / 8 / b for a, b in against_single],
            medians(against_single),
        ),
    ]


def _blocks(stepper: Stepper) -> Callable[[], None]:
    def ours() -> None:
        for _ in range(STEPS):
            stepper.step()

    return ours


def _trainer(stepper: Stepper, r: int) -> Callable[[], None]:
    """A block of steps of the Trainer's own loop on the stepper's texts and matrices."""
    folder = base_folder(cell())
    torch.manual_seed(0)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    lora = LoraConfig(
        r=r, lora_alpha=16, target_modules=list(stepper.pack.encoder.layers), task_type="SEQ_CLS"
    )
    peer: Any = get_peft_model(model, lora)

    def theirs() -> None:
        with tempfile.TemporaryDirectory() as place:
            arguments = TrainingArguments(
                output_dir=place,
                max_steps=STEPS,
                per_device_train_batch_size=stepper.pack.shared.batch_size,
                learning_rate=1e-3,
                logging_steps=STEPS,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            )
            Trainer(
                model=peer,
                args=arguments,
                train_dataset=_Texts(stepper.pack.texts.train),
                data_collator=DataCollatorWithPadding(load_tokenizer(folder)),
            ).train()

    return theirs
