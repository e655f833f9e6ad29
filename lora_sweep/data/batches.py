"""Tokenised texts -> padded batches of a pack, and the order in which a run sees its texts."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lora_sweep.data.tokens import TokenisedTexts


@dataclass(frozen=True)
class Batch:
    """Padded tokens of K b texts, the texts of a run together, run after run.

    Attributes:
        input_ids: token ids (K b, length), int64.
        attention_mask: 1 at real tokens, 0 at padding (K b, length), int64.
        token_type_ids: segment of every token (K b, length), or None for models without.
        labels: (K, b), int64 or float32.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None
    labels: Tensor


def epoch_order(n_texts: int, generator: torch.Generator) -> Tensor:
    """Returns a random order (n_texts,) of the texts."""
    return torch.randperm(n_texts, generator=generator)


def evaluation_batches(texts: TokenisedTexts, batch_size: int) -> Iterator[Tensor]:
    """Yields all texts once, (b,) at a time, of like length together so that little is padded."""
    yield from torch.split(torch.argsort(texts.lengths, stable=True), batch_size)


def padded_batch(
    texts: TokenisedTexts, index: Tensor, *, pad_id: int, device: torch.device
) -> Batch:
    """Returns the texts of a step, padded to the longest of them.

    Args:
        texts: where they come from.
        index: which ones, (K, b).
        pad_id: token that fills.
        device: where the batch goes.
    """
    rows = index.flatten()  # (K b,)
    lengths = texts.lengths[rows]
    position = torch.arange(int(lengths.max()))  # (length,)
    is_real = position < lengths[:, None]  # (K b, length)
    source = torch.where(is_real, texts.offsets[rows, None] + position, 0)
    types = None
    if texts.types is not None:
        types = (texts.types[source].long() * is_real).to(device, non_blocking=True)
    ids = torch.where(is_real, texts.ids[source].long(), pad_id)
    return Batch(
        input_ids=ids.to(device, non_blocking=True),
        attention_mask=is_real.long().to(device, non_blocking=True),
        token_type_ids=types,
        labels=texts.labels[index].to(device, non_blocking=True),
    )
