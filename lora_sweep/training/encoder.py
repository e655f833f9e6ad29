"""The forward pass of a pack: one frozen encoder with K runs' cores, then K heads."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lora_sweep.adapters.layer import LoRAXSLinear, RunLayout, set_cores
from lora_sweep.data.batches import Batch, padded_batch, ragged_batch
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.training.parameters import Parameters


@dataclass(frozen=True)
class AdaptedEncoder:
    """A frozen transformers encoder whose adapted layers wait for cores.

    Attributes:
        encoder: called with `input_ids` and, where the tokens have them, `token_type_ids`;
            with `position_ids` and `batch` if batches are ragged, else with `attention_mask`.
            Answers with `last_hidden_state`.
        layers: name -> LoRA-XS layer, in module order (N).
        d: hidden size.
        pooling: `cls` (first token) or `mean` (over the real tokens).
        dropout: of the head.
        pad_id: token that fills a padded batch.
        first_position: position id of a text's first token, for ragged batches; None if this
            family's batches must be padded.
    """

    encoder: nn.Module
    layers: dict[str, LoRAXSLinear]
    d: int
    pooling: str
    dropout: float
    pad_id: int
    first_position: int | None

    def batch(self, texts: TokenisedTexts, index: Tensor, device: torch.device) -> Batch:
        """Returns the texts (K, b) as a batch that this encoder takes."""
        if self.first_position is None:
            return padded_batch(texts, index, pad_id=self.pad_id).to(device)
        return ragged_batch(texts, index).to(device)

    def features(self, batch: Batch, cores: tuple[Tensor, ...], n_runs: int) -> Tensor:
        """Returns the pooled last hidden states (K, b, d), float32.

        Args:
            batch: tokens of K b texts.
            cores: N tensors (K, r, r).
            n_runs: K.
        """
        layout = None
        if batch.run_place is not None:
            layout = RunLayout(batch.run_place, batch.run_length)
        set_cores(self.layers.values(), cores, layout)
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        if batch.token_type_ids is not None:
            inputs["token_type_ids"] = batch.token_type_ids
        if self.first_position is None:
            inputs["attention_mask"] = batch.is_real.long()
        else:
            inputs |= {"position_ids": batch.positions + self.first_position, "batch": batch}
        hidden = self.encoder(**inputs).last_hidden_state
        pooled = _pool(batch.padded(hidden).float(), batch.is_real, self.pooling)  # (K b, d)
        return pooled.view(n_runs, -1, self.d)


def head_outputs(
    features: Tensor, parameters: Parameters, *, dropout: float, training: bool
) -> Tensor:
    """Returns the heads' outputs (K, b, n_labels) for features (K, b, d).

    Dropout, dense, tanh, dropout, projection; float32.

    Source: transformers' RoBERTa classification head.
    """
    x = functional.dropout(features, dropout, training)
    x = torch.tanh(_linear(x, parameters, "head.dense"))
    x = functional.dropout(x, dropout, training)
    return _linear(x, parameters, "head.out")


def _linear(x: Tensor, parameters: Parameters, name: str) -> Tensor:
    """One linear layer a run: x (K, b, d_in) -> (K, b, d_out)."""
    bias = parameters[f"{name}.bias"][:, None]
    return torch.baddbmm(bias, x, parameters[f"{name}.weight"].mT)


def _pool(hidden: Tensor, is_real: Tensor, pooling: str) -> Tensor:
    """(K b, L, d) -> (K b, d)."""
    if pooling == "cls":
        return hidden[:, 0]
    weights = is_real[..., None].to(hidden.dtype)  # (K b, L, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
