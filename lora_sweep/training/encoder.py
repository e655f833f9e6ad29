"""The forward pass of a pack: one frozen encoder with K runs' cores, then K heads.

The rows of a batch belong to the runs in equal shares, run after run: (K b, length).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lora_sweep.adapters.layer import LoRAXSLinear, set_cores
from lora_sweep.data.batches import Batch
from lora_sweep.training.parameters import Parameters


@dataclass(frozen=True)
class AdaptedEncoder:
    """A frozen transformers encoder whose adapted layers wait for cores.

    Attributes:
        encoder: called with `input_ids`, `attention_mask` and, where the tokens have them,
            `token_type_ids`; answers with `last_hidden_state`.
        layers: name -> LoRA-XS layer, in module order (N).
        d: hidden size.
        pooling: `cls` (first token) or `mean` (over the real tokens).
        dropout: of the head.
        pad_id: token that fills a padded batch.
    """

    encoder: nn.Module
    layers: dict[str, LoRAXSLinear]
    d: int
    pooling: str
    dropout: float
    pad_id: int

    def features(self, batch: Batch, cores: tuple[Tensor, ...], n_runs: int) -> Tensor:
        """Returns the pooled last hidden states (K, b, d), float32.

        Args:
            batch: tokens of K b texts.
            cores: N tensors (K, r, r).
            n_runs: K.
        """
        set_cores(self.layers.values(), cores)
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if batch.token_type_ids is not None:
            inputs["token_type_ids"] = batch.token_type_ids
        hidden = self.encoder(**inputs).last_hidden_state.float()  # (K b, length, d)
        return _pool(hidden, batch.attention_mask, self.pooling).view(n_runs, -1, self.d)


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


def _pool(hidden: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """(rows, length, d) -> (rows, d)."""
    if pooling == "cls":
        return hidden[:, 0]
    weights = attention_mask[..., None].to(hidden.dtype)  # (rows, length, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
