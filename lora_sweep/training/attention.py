"""Attention over ragged batches, registered with transformers under `RAGGED`.

Everything in an encoder but attention works on tokens one by one. So a ragged batch runs through
the encoder as one long text (1, T), and attention alone pads: it gathers the texts of each length
group into rows of their own, attends within them, and puts the results back in line.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lora_sweep.data.batches import Batch
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
    q, k, v = (
        pad(x.transpose(1, 2).reshape(-1, d_head), batch.heads) for x in (query, key, value)
    )
    factors = getattr(module.dropout, "factors", ()) or (None,) * len(batch.groups)
    groups = tuple(
        _Group(group.length, group.bias, factor)
        for group, factor in zip(batch.groups, factors, strict=True)
    )
    mixed: Tensor = _Attention.apply(q, k, v, groups, options["scaling"])  # type: ignore[no-untyped-call]
    in_line = unpad(mixed, batch.heads)
    return in_line.view(1, query.shape[2], query.shape[1], d_head), None


class _Group(NamedTuple):
    """Texts that attend together: n H rows of L places."""

    length: int
    bias: Tensor  # (n H, 1, L)
    factor: Tensor | None  # of dropout, (n, H, L, L)

    def drop(self, weights: Tensor) -> Tensor:
        """Attention weights (n H, L, L), or their gradient, times the factors."""
        if self.factor is None:
            return weights
        return (weights.view(self.factor.shape) * self.factor).view(weights.shape)


class _Attention(torch.autograd.Function):
    """softmax(scaling q k' + bias) o f times v, group by group, rows (sum of n H L, d_head).

    By hand, because all groups then write into one tensor, forward and backward, and weights are
    float32: of 16 bfloat16 numbers a softmax takes four times as long on a CPU.
    """

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, groups: tuple[_Group, ...], scaling: float
    ) -> Tensor:
        mixed, kept = torch.empty_like(v), []
        for group, (own_q, own_k, own_v, out) in _by_group(groups, q, k, v, mixed):
            bias = group.bias.to(q.dtype)
            scores = torch.baddbmm(bias, own_q, own_k.mT, alpha=scaling)  # (n H, L, L)
            weights = torch.softmax(scores, dim=-1, dtype=torch.float32)
            torch.bmm(group.drop(weights).to(v.dtype), own_v, out=out)
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept, *(group.factor for group in groups))
        ctx.groups, ctx.scaling = tuple(group._replace(factor=None) for group in groups), scaling
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, *saved = ctx.saved_tensors
        kept, factors = saved[: len(ctx.groups)], saved[len(ctx.groups) :]
        groups = [
            group._replace(factor=own) for group, own in zip(ctx.groups, factors, strict=True)
        ]
        of_q, of_k, of_v = (torch.empty_like(one) for one in (q, k, v))
        rows = _by_group(groups, q, k, v, gradient, of_q, of_k, of_v)
        for (group, own), weights in zip(rows, kept, strict=True):
            own_q, own_k, own_v, g, out_q, out_k, out_v = own
            torch.bmm(group.drop(weights).to(v.dtype).mT, g, out=out_v)
            of_weights = group.drop(torch.bmm(g, own_v.mT).float())
            dot = (of_weights * weights).sum(dim=-1, keepdim=True)
            of_scores = of_weights.sub_(dot).mul_(weights).mul_(ctx.scaling).to(v.dtype)
            torch.bmm(of_scores, own_k, out=out_q)
            torch.bmm(of_scores.mT, own_q, out=out_k)
        return of_q, of_k, of_v, None, None


def _by_group(
    groups: Sequence[_Group], *rows: Tensor
) -> Iterator[tuple[_Group, tuple[Tensor, ...]]]:
    """Each group with its part of rows (sum of n H L, d_head), as (n H, L, d_head)."""
    start = 0
    for group in groups:
        end = start + len(group.bias) * group.length
        yield group, tuple(one[start:end].view(-1, group.length, one.shape[-1]) for one in rows)
        start = end


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """The batch itself knows which tokens are one text."""
