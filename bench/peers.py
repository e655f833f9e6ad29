"""The peer: transformers' Trainer with PEFT LoRA r = 25 on the same matrices, padded by batch."""

import tempfile
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
from bench.work import Stepper, cell
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.execution.inputs import base_folder
from lora_sweep.models.base import load_tokenizer

STEPS = 20


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
    """Blocks of steps of the Trainer's own loop against blocks of ours."""
    folder = base_folder(cell())
    torch.manual_seed(0)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    lora = LoraConfig(
        r=25, lora_alpha=16, target_modules=list(stepper.pack.encoder.layers), task_type="SEQ_CLS"
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

    def ours() -> None:
        for _ in range(STEPS):
            stepper.step()

    pairs = paired(theirs, ours, n_pairs=n_pairs)
    return Row(
        "step vs peer",
        "steps per second against transformers' Trainer + PEFT LoRA r = 25 on the same matrices, "
        f"dynamic padding, float32; blocks of {STEPS} steps",
        ">= 2.2",
        [a / b for a, b in pairs],
        medians(pairs, per=STEPS),
    )
