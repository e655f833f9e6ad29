"""Attention over ragged batches, registered with transformers under `RAGGED`.

Everything in an encoder but attention works on tokens one by one. So a ragged batch runs through
the encoder as one long text (1, T), and attention alone pads: it gathers the texts of each length
group into rows of their own, attends within them, and puts the results back in line.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lora_sweep.data.batches import Batch, LengthGroup
from lora_sweep.padding import pad, unpad

RAGGED = "lora_sweep_ragged"


def register() -> None:
    """Makes the attention known to transformers as `RAGGED`."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(RAGGED, ragged_attention)
    AttentionMaskInterface.register(RAGGED, _no_mask)


def ragged_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Returns the attention of every token to those of its own text (1, T, H, d_head).

    The signature is that of transformers' attention functions.

    Args:
        module: the attention module, with its `dropout`, a `SeededDropout` or one of p = 0.
        query: (1, H, T, d_head); `key` and `value` likewise.
        key: see `query`.
        value: see `query`.
        attention_mask: unused; the batch knows its texts.
        options: `batch`, the ragged batch; `scaling`, factor on the scores.
    """
    batch: Batch = options["batch"]
    assert batch.heads is not None
    d_head = query.shape[-1]
    sizes = [group.bias.shape[0] * group.length for group in batch.groups]
    q, k, v = (
        torch.split(pad(x.transpose(1, 2).reshape(-1, d_head), batch.heads), sizes)
        for x in (query, key, value)
    )
    factors = getattr(module.dropout, "factors", ()) or [None] * len(sizes)
    mixed = [
        _attend(group, rows, factor, options["scaling"])
        for group, rows, factor in zip(
            batch.groups, zip(q, k, v, strict=True), factors, strict=True
        )
    ]
    in_line = unpad(mixed[0] if len(mixed) == 1 else torch.cat(mixed), batch.heads)
    return in_line.view(1, query.shape[2], query.shape[1], d_head), None


def _attend(
    group: LengthGroup, rows: tuple[Tensor, ...], factor: Tensor | None, scaling: float
) -> Tensor:
    """Attention within the texts of a group: rows (n H L, d_head) -> (n H L, d_head)."""
    q, k, v = (x.view(-1, group.length, x.shape[-1]) for x in rows)  # (n H, L, d_head)
    scores = torch.baddbmm(group.bias.to(q.dtype), q, k.mT, alpha=scaling)  # (n H, L, L)
    # In float32: of 16 bfloat16 numbers a softmax takes four times as long on a CPU.
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32)
    if factor is not None:
        weights = (weights.view(factor.shape) * factor).view(weights.shape)
    return torch.bmm(weights.to(v.dtype), v).view(-1, v.shape[-1])


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """The batch itself knows which tokens are one text."""
