"""Stock classifiers that hold a run: `merged` and `peft` exports, by transformers and PEFT."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lora_sweep.adapters.peft_files import PEFT_WEIGHTS
from lora_sweep.data.batches import evaluation_batches, padded_batch
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.errors import BaseModelError, RecordError
from lora_sweep.extras import install_command
from lora_sweep.models.base import base_shape, load_tokenizer
from lora_sweep.models.classifier import load_classifier, stock_head
from lora_sweep.trained.about import About, read_about


@dataclass(frozen=True)
class StockClassifier:
    """A classifier of transformers, with or without an adapter of PEFT.

    Attributes:
        about: origin and use.
        tokenizer: of the base.
        model: called with padded batches; answers with `logits`.
        pad_id: token that fills a batch.
        device: where it computes.
    """

    about: About
    tokenizer: Any
    model: Any
    pad_id: int
    device: torch.device

    @torch.no_grad()
    def outputs(self, texts: TokenisedTexts) -> Tensor:
        """Returns the outputs (n, n_labels), float32, on the CPU."""
        outputs = torch.empty(len(texts), self.about.n_labels)
        size = int(self.about.settings["training.evaluation_batch_size"])
        for index in evaluation_batches(texts, size):
            batch = padded_batch(texts, index[None], pad_id=self.pad_id).to(self.device)
            inputs: dict[str, Tensor] = {
                "input_ids": batch.input_ids,
                "attention_mask": batch.is_real.long(),
            }
            if batch.token_type_ids is not None:
                inputs["token_type_ids"] = batch.token_type_ids
            outputs[index] = self.model(**inputs).logits.float().cpu()
        return outputs


def load_merged(folder: Path, device: torch.device) -> StockClassifier:
    """Returns the classifier of a `merged` export.

    Raises:
        LoraSweepError: something of it is missing or damaged.
    """
    about = read_about(folder)
    model = load_classifier(folder, about.label_names)
    return _classifier(about, folder, model, device)


def load_peft(folder: Path, base: Path, device: torch.device) -> StockClassifier:
    """Returns the classifier of a `peft` export, by PEFT itself.

    Args:
        folder: of the export.
        base: its base.
        device: where it computes.

    Raises:
        LoraSweepError: something is missing or damaged, or PEFT is not installed.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise RecordError(
            f"{folder} must be read by PEFT, but it is not installed: {install_command('peft')}"
        ) from error
    about = read_about(folder)
    if not (folder / PEFT_WEIGHTS).is_file():  # PEFT would look for a pickled file instead
        raise RecordError(f"{folder} must have {PEFT_WEIGHTS}, but got none: export again")
    place = stock_head(base, about.settings["model.pooling"])
    stock = load_classifier(base, about.label_names, place=place)
    try:
        model: Any = PeftModel.from_pretrained(stock, str(folder))
    except (OSError, ValueError, RuntimeError, KeyError, json.JSONDecodeError) as error:
        raise BaseModelError(f"the adapter in {folder} can't be loaded: {error}") from error
    return _classifier(about, base, model.eval(), device)


def _classifier(about: About, base: Path, model: Any, device: torch.device) -> StockClassifier:
    pad_id = base_shape(base).pad_id
    return StockClassifier(about, load_tokenizer(base), model.to(device), pad_id, device)
