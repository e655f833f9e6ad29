"""Dropout that comes from each run's own seed, so that it does not depend on the pack.

All masks of a step are drawn before it. Every run fills its rows of a common buffer from a
generator of its own, one call for all layers; one comparison then turns the random bits of the
whole pack into factors, 0 or 1 / (1 - p). What a run draws depends on its own texts alone:

    hidden      (T, S, d)           every token, S places of the encoder
    attention   (n, S, H, C, C)     every text of a length group, cap C; its leading square is used
    head        (K b, 2, d)         every text
    adapters    (T, d_in)           every token, for each adapted matrix
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lora_sweep.adapters.layer import AdaptedLinear
from lora_sweep.data.batches import Batch

_LEVELS = 2**16
"""A factor is decided by 16 random bits: p is met to 1 in 131,072."""


class SeededDropout(nn.Module):
    """Stands where the encoder had an `nn.Dropout`; without factors it lets everything through.

    Attributes:
        p: probability of a zero.
        factors: what a training step multiplies by; one tensor, or for attention one a group.
    """

    def __init__(self, p: float) -> None:
        """Starts without factors."""
        super().__init__()
        self.p = p
        self.factors: tuple[Tensor, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (1, T, d') times the factors (T, d); embeddings may be narrower than d."""
        if not self.factors:
            return x
        (drawn,), width = self.factors, x.shape[-1]
        return x * (drawn if drawn.shape[-1] == width else drawn[:, :width])


@dataclass(frozen=True)
class EncoderDropout:
    """The places of an encoder where values are dropped, in module order.

    Attributes:
        hidden: after the embeddings, and after both parts of each layer.
        attention: attention weights, one a layer.
        adapters: adapted layers whose adapters' inputs are dropped; none where they are not.
        adapter_p: probability of a zero there.
    """

    hidden: tuple[SeededDropout, ...]
    attention: tuple[SeededDropout, ...]
    adapters: tuple[AdaptedLinear, ...] = ()
    adapter_p: float = 0.0

    def clear(self) -> None:
        """Lets everything through again."""
        for place in (*self.hidden, *self.attention):
            place.factors = ()
        for layer in self.adapters:
            layer.kept = None

    def draw(
        self,
        batch: Batch,
        generators: Sequence[torch.Generator],
        *,
        d: int,
        n_heads: int,
        dtype: torch.dtype,
    ) -> None:
        """Gives all places the factors of one step.

        Args:
            batch: the step's tokens, ragged.
            generators: one a run (K), on the batch's device; each is moved on.
            d: hidden size.
            n_heads: attention heads, H.
            dtype: of the encoder's products.
        """
        if self.hidden:
            p, shape = self.hidden[0].p, (len(self.hidden), d)
            drawn = factors(batch.n_tokens, shape, generators, p=p, dtype=dtype)
            for i, place in enumerate(self.hidden):
                place.factors = (drawn[:, i],)
        if self.attention:
            p = self.attention[0].p
            by_group = []
            for group in batch.groups:
                square = (len(self.attention), n_heads, group.cap, group.cap)
                drawn = factors(group.n_texts, square, generators, p=p, dtype=dtype)
                by_group.append(drawn[..., : group.length, : group.length])
            for i, place in enumerate(self.attention):
                place.factors = tuple(drawn[:, i] for drawn in by_group)
        for layer in self.adapters:
            d_in = layer.weight.shape[1]
            layer.kept = factors(
                batch.n_tokens, (d_in,), generators, p=self.adapter_p, dtype=dtype
            )


def seed_dropout(
    encoder: nn.Module, attention_dropout: str, adapter_p: float = 0.0
) -> EncoderDropout:
    """Puts a `SeededDropout` in the place of every dropout that drops anything.

    Args:
        encoder: changed in place.
        attention_dropout: end of the names of the modules that drop attention weights.
        adapter_p: probability of a zero at the adapters' inputs.

    Raises:
        ValueError: dropout of the hidden states is not the same at all places, or that of the
            attention is not.
    """
    hidden: list[SeededDropout] = []
    attention: list[SeededDropout] = []
    for name, module in list(encoder.named_modules()):
        if isinstance(module, nn.Dropout) and module.p > 0:
            parent, _, child = name.rpartition(".")
            place = SeededDropout(module.p)
            setattr(encoder.get_submodule(parent), child, place)
            (attention if name.endswith(attention_dropout) else hidden).append(place)
    for places in (hidden, attention):
        if len({place.p for place in places}) > 1:
            raise ValueError(
                "dropout must be the same at all places of a kind, but got "
                f"{sorted({place.p for place in places})}"
            )
    layers = [module for module in encoder.modules() if isinstance(module, AdaptedLinear)]
    adapters = tuple(layers) if adapter_p > 0 else ()
    return EncoderDropout(tuple(hidden), tuple(attention), adapters, adapter_p)


def factors(
    n_rows: Sequence[int],
    shape: tuple[int, ...],
    generators: Sequence[torch.Generator],
    *,
    p: float,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Returns independent factors (sum of n_rows, *shape): 0 with probability p, else 1 / (1 - p).

    Args:
        n_rows: rows of each run (K).
        shape: of a row.
        generators: one a run (K); a run's rows come from its own alone.
        p: probability of a zero, above 0 up to 1, met to 1 in 131,072 and at least 1 in 65,536.
        dtype: of the factors.

    Source: inverted dropout; drawing by run is ours.
    """
    width = int(torch.Size(shape).numel())
    n_words = -(-width // 4)  # four factors a 64-bit word
    bits = torch.empty(sum(n_rows), n_words, dtype=torch.int64, device=generators[0].device)
    for rows, generator in zip(torch.split(bits, list(n_rows)), generators, strict=True):
        if len(rows):
            rows.random_(-(2**63), None, generator=generator)
    n_dropped = max(1, round(p * _LEVELS))
    kept = torch.empty(len(bits), width, dtype=dtype, device=bits.device)
    torch.gt(bits.view(torch.int16)[:, :width], n_dropped - _LEVELS // 2 - 1, out=kept)
    scale = _LEVELS / max(1, _LEVELS - n_dropped)
    return kept.mul_(scale).view(-1, *shape)
