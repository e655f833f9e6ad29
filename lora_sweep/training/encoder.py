"""The forward pass of a pack: one frozen encoder with K runs' updates, then K heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lora_sweep.adapters.kind import Shapes
from lora_sweep.adapters.layer import AdaptedLinear, leading_singular_values, set_updates
from lora_sweep.data.batches import Batch, padded_batch, ragged_batch
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.padding import pad
from lora_sweep.training.dropout import Drawing, EncoderDropout
from lora_sweep.training.parameters import Parameters
from lora_sweep.vocabulary import HEAD_DENSE, HEAD_OUT


@dataclass(frozen=True)
class AdaptedEncoder:
    """A frozen transformers encoder whose adapted layers wait for updates.

    Attributes:
        encoder: called with `input_ids` and, where the tokens have them, `token_type_ids`;
            with `position_ids` and `batch` if batches are ragged, else with `attention_mask`.
            Answers with `last_hidden_state`.
        layers: name -> adapted layer, in module order (N).
        d: hidden size.
        n_heads: attention heads.
        pooling: `cls` (first token) or `mean` (over the real tokens).
        head_dropout: of the head, 0 to 1.
        dropout: where values are dropped by each run's own seed; None if the encoder drops by
            torch's global generator, as one whose batches are padded does.
        pad_id: token that fills a padded batch.
        first_position: position id of a text's first token, for ragged batches; None if this
            family's batches must be padded.
        dtype: of the frozen weights and of all products with them.
        multiple: ragged batches are filled up to a multiple of so many tokens.
    """

    encoder: nn.Module
    layers: Mapping[str, AdaptedLinear]
    d: int
    n_heads: int
    pooling: str
    head_dropout: float
    dropout: EncoderDropout | None
    pad_id: int
    first_position: int | None
    dtype: torch.dtype = torch.float32
    multiple: int = 1

    @property
    def can_pack(self) -> bool:
        """Whether nothing is dropped for all runs at once: a run's numbers are then its own."""
        if self.dropout is not None:
            return True
        drops = [m.p for m in self.encoder.modules() if isinstance(m, nn.Dropout)]
        return not any(drops + [layer.dropout for layer in self.layers.values()])

    @property
    def shapes(self) -> Shapes:
        """Name of each adapted matrix, in module order -> its (d_out, d_in)."""
        sizes = {name: layer.weight.shape for name, layer in self.layers.items()}
        return {name: (d_out, d_in) for name, (d_out, d_in) in sizes.items()}

    def spectra(self, r: int) -> Tensor:
        """Returns the r largest singular values of every adapted matrix (N, r), largest first."""
        return leading_singular_values(self.layers.values(), r)

    def batch(self, texts: TokenisedTexts, index: Tensor) -> Batch:
        """Returns the texts (K, b) as a batch that this encoder takes, on the CPU."""
        if self.first_position is None:
            return padded_batch(texts, index, pad_id=self.pad_id)
        return ragged_batch(texts, index, n_heads=self.n_heads, multiple=self.multiple)

    def draw_dropout(self, batch: Batch, generators: Sequence[torch.Generator]) -> Tensor | None:
        """Readies the encoder's dropout for a training step.

        Args:
            batch: the step's texts.
            generators: one a run (K), on the batch's device; each is moved on.

        Returns:
            The head's factors (K, b, 2, d); None if it drops nothing.
        """
        if self.dropout is not None:
            self.dropout.draw(batch, generators, d=self.d, n_heads=self.n_heads, dtype=self.dtype)
        if self.head_dropout == 0:
            return None
        n_runs, n_texts = batch.labels.shape
        drawing = Drawing([n_texts] * n_runs, generators)
        drawn = drawing.factors((2, self.d), self.head_dropout, torch.float32)
        return drawn.view(n_runs, n_texts, 2, self.d)

    def evaluation_mode(self) -> None:
        """Lets everything through from now on."""
        self.encoder.eval()
        if self.dropout is not None:
            self.dropout.clear()

    def features(self, batch: Batch, updates: tuple[Any, ...], n_runs: int) -> Tensor:
        """Returns the pooled last hidden states (K, b, d), float32.

        Args:
            batch: tokens of K b texts.
            updates: of the layers (N), of this encoder's dtype.
            n_runs: K.
        """
        set_updates(self.layers.values(), updates, batch.runs)
        return self.pooled(batch, n_runs)

    def pooled(self, batch: Batch, n_runs: int) -> Tensor:
        """Returns the pooled last hidden states (K, b, d), float32, with the updates as they are.

        Args:
            batch: tokens of K b texts.
            n_runs: K.
        """
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        if batch.token_type_ids is not None:
            inputs["token_type_ids"] = batch.token_type_ids
        if self.first_position is None:
            inputs["attention_mask"] = batch.is_real.long()
        else:
            inputs |= {"position_ids": batch.positions + self.first_position, "batch": batch}
        hidden = self.encoder(**inputs).last_hidden_state
        return _pool(hidden, batch, self.pooling).view(n_runs, -1, self.d)


def head_outputs(features: Tensor, parameters: Parameters, dropout: Tensor | None) -> Tensor:
    """Returns the heads' outputs (K, b, n_labels) for features (K, b, d).

    Dropout, dense, tanh, dropout, projection; float32.

    Args:
        features: pooled hidden states.
        parameters: the heads, among others.
        dropout: factors of both dropouts (K, b, 2, d); None for none.

    Source: transformers' RoBERTa classification head.
    """
    x = features if dropout is None else features * dropout[:, :, 0]
    x = torch.tanh(_linear(x, parameters, HEAD_DENSE))
    x = x if dropout is None else x * dropout[:, :, 1]
    return _linear(x, parameters, HEAD_OUT)


def _linear(x: Tensor, parameters: Parameters, name: str) -> Tensor:
    """One linear layer a run: x (K, b, d_in) -> (K, b, d_out)."""
    bias = parameters[f"{name}.bias"][:, None]
    return torch.baddbmm(bias, x, parameters[f"{name}.weight"].mT)


def _pool(hidden: Tensor, batch: Batch, pooling: str) -> Tensor:
    """Hidden states (1, T, d) or (K b, L, d) -> (K b, d), float32."""
    if batch.texts is not None:
        hidden = pad(hidden[0], batch.texts).view(*batch.is_real.shape, -1)  # (K b, L, d)
    if pooling == "cls":
        return hidden[:, 0].float()
    weights = batch.is_real[..., None].float()  # (K b, L, 1)
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)
