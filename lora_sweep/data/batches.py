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
        padded_from: ragged only: which token stands in each place of the padded layout
            (K b, L); a place without one repeats the first.
        ragged_from: ragged only: which place of the padded layout, flattened, each token has
            (T,).
        runs_from: ragged only, K > 1: which token stands in each place of a layout with a row a
            run (K, T_max); a place without one repeats the first.
        from_runs: ragged only, K > 1: which place of that layout, flattened, each token has (T,).
    """

    input_ids: Tensor
    positions: Tensor
    token_type_ids: Tensor | None
    labels: Tensor
    is_real: Tensor
    padded_from: Tensor | None = None
    ragged_from: Tensor | None = None
    runs_from: Tensor | None = None
    from_runs: Tensor | None = None

    def padded(self, values: Tensor) -> Tensor:
        """Returns values of the tokens (1, T, ...) or (K b, L, ...) as (K b, L, ...)."""
        return values if self.padded_from is None else values[0][self.padded_from]

    def ragged(self, values: Tensor) -> Tensor:
        """Returns values of a ragged batch (K b, L, ...) as (1, T, ...)."""
        assert self.ragged_from is not None
        return values.flatten(0, 1)[self.ragged_from][None]

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on a device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True) if value is not None else None
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
    padded_from = torch.zeros(is_real.numel(), dtype=torch.long)
    padded_from[place] = torch.arange(len(place))
    runs_from, from_runs = _run_layout(texts, index)
    return Batch(
        input_ids=texts.ids[token].long()[None],
        positions=(place % is_real.shape[1])[None],
        token_type_ids=None if texts.types is None else texts.types[token].long()[None],
        labels=texts.labels[index],
        is_real=is_real,
        padded_from=padded_from.view(is_real.shape),
        ragged_from=place,
        runs_from=runs_from,
        from_runs=from_runs,
    )


def _padded_layout(texts: TokenisedTexts, index: Tensor) -> tuple[Tensor, Tensor]:
    """Where a row a text has real tokens, and which tokens of all texts these are (K b, L)."""
    rows = index.flatten()  # (K b,)
    lengths = texts.lengths[rows]
    position = torch.arange(int(lengths.max()))  # (L,)
    is_real = position < lengths[:, None]  # (K b, L)
    return is_real, torch.where(is_real, texts.offsets[rows, None] + position, 0)


def _run_layout(texts: TokenisedTexts, index: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """`runs_from` (K, T_max) and `from_runs` (T,); one run needs neither."""
    if len(index) == 1:
        return None, None
    n_tokens = texts.lengths[index].sum(dim=1)  # (K,)
    start = n_tokens.cumsum(0) - n_tokens
    position = torch.arange(int(n_tokens.max()))  # (T_max,)
    is_token = position < n_tokens[:, None]  # (K, T_max)
    runs_from = torch.where(is_token, start[:, None] + position, 0)
    return runs_from, is_token.flatten().nonzero()[:, 0]
