"""Tokenised texts -> batches of a pack, and the order in which a run sees its texts.

A batch holds K b texts, the texts of a run together, run after run. It is ragged (the real tokens
one behind the other, no padding) or padded (a row a text). Both know where in the other's layout
their tokens are, so that attention and pooling can pad what they must.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lora_sweep.data.tokens import TokenisedTexts


@dataclass(frozen=True)
class Batch:
    """Tokens of K b texts, ragged (1, T) or padded (K b, L), L the longest text's length.

    Attributes:
        input_ids: token ids, int64.
        positions: place of every token in its text, 0 for the first, int64.
        token_type_ids: segment of every token, int64; None for models without.
        labels: (K, b), int64 or float32.
        is_real: where the padded layout has a token (K b, L), bool.
        place: ragged only: which place of the padded layout, flattened, each token has (T,).
        run_place: ragged only, K > 1: which place of a layout with a row a run (K, T_max),
            flattened, each token has (T,).
        run_length: T_max, the tokens of the longest run; 0 where `run_place` is None.
    """

    input_ids: Tensor
    positions: Tensor
    token_type_ids: Tensor | None
    labels: Tensor
    is_real: Tensor
    place: Tensor | None = None
    run_place: Tensor | None = None
    run_length: int = 0

    def padded(self, values: Tensor) -> Tensor:
        """Returns tokens' values, (1, T, ...) or (K b, L, ...), as (K b, L, ...), zero-filled."""
        if self.place is None:
            return values
        rest = values.shape[2:]
        zeros = values.new_zeros(self.is_real.numel(), *rest)
        return zeros.index_copy(0, self.place, values[0]).view(*self.is_real.shape, *rest)

    def ragged(self, values: Tensor) -> Tensor:
        """Returns values of a ragged batch (K b, L, ...) as (1, T, ...)."""
        assert self.place is not None
        return values.flatten(0, 1).index_select(0, self.place)[None]

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on a device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return Batch(**moved)


def epoch_order(n_texts: int, generator: torch.Generator) -> Tensor:
    """Returns a random order (n_texts,) of the texts."""
    return torch.randperm(n_texts, generator=generator)


def evaluation_batches(texts: TokenisedTexts, batch_size: int) -> Iterator[Tensor]:
    """Yields all texts once, (b,) at a time, of like length together so that little is padded."""
    yield from torch.split(torch.argsort(texts.lengths, stable=True), batch_size)


def padded_batch(texts: TokenisedTexts, index: Tensor, *, pad_id: int) -> Batch:
    """Returns the texts of a step, padded to the longest of them.

    Args:
        texts: where they come from.
        index: which ones, (K, b).
        pad_id: token that fills.
    """
    is_real, source = _padded_layout(texts, index)
    ids = torch.where(is_real, texts.ids[source].long(), pad_id)
    types = None if texts.types is None else texts.types[source].long() * is_real
    positions = torch.arange(is_real.shape[1]).expand(is_real.shape)
    return Batch(ids, positions, types, texts.labels[index], is_real)


def ragged_batch(texts: TokenisedTexts, index: Tensor) -> Batch:
    """Returns the real tokens of a step, text after text, run after run.

    Args:
        texts: where they come from.
        index: which ones, (K, b).
    """
    is_real, source = _padded_layout(texts, index)
    place = is_real.flatten().nonzero()[:, 0]  # (T,)
    token = source.flatten()[place]  # (T,)
    run_place, run_length = _run_layout(texts, index)
    return Batch(
        input_ids=texts.ids[token].long()[None],
        positions=(place % is_real.shape[1])[None],
        token_type_ids=None if texts.types is None else texts.types[token].long()[None],
        labels=texts.labels[index],
        is_real=is_real,
        place=place,
        run_place=run_place,
        run_length=run_length,
    )


def _padded_layout(texts: TokenisedTexts, index: Tensor) -> tuple[Tensor, Tensor]:
    """Where a row a text has real tokens, and which tokens of all texts these are (K b, L)."""
    rows = index.flatten()  # (K b,)
    lengths = texts.lengths[rows]
    position = torch.arange(int(lengths.max()))  # (L,)
    is_real = position < lengths[:, None]  # (K b, L)
    return is_real, torch.where(is_real, texts.offsets[rows, None] + position, 0)


def _run_layout(texts: TokenisedTexts, index: Tensor) -> tuple[Tensor | None, int]:
    """`run_place` (T,) and `run_length`; one run needs neither."""
    if len(index) == 1:
        return None, 0
    n_tokens = texts.lengths[index].sum(dim=1)  # (K,)
    run_length = int(n_tokens.max())
    is_token = torch.arange(run_length) < n_tokens[:, None]  # (K, T_max)
    return is_token.flatten().nonzero()[:, 0], run_length
