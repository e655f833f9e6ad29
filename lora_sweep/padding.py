"""Rows in line <-> the places of a padded layout: two gathers, and their gradients.

Where the layout has padding, `pad` repeats a row of the same text or run instead of writing zeros:
whoever reads a padded layout masks its padding, and what is not finite in one run then never
stands in another's place. The gradient of `pad` at padding is dropped, that of `unpad` is zero.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Padding(NamedTuple):
    """How n rows stand in a layout of m >= n places.

    Attributes:
        source: which row each place shows (m,); at padding, another row of the same owner.
        place: which place each row has (n,).
    """

    source: Tensor
    place: Tensor


def pad(rows: Tensor, padding: Padding) -> Tensor:
    """Returns the padded layout (m, ...) of rows (n, ...)."""
    return _gather(rows, padding.source, padding.place, has_gaps=False)


def unpad(places: Tensor, padding: Padding) -> Tensor:
    """Returns the rows (n, ...) of a padded layout (m, ...)."""
    return _gather(places, padding.place, padding.source, has_gaps=True)


def zero_padded(rows: Tensor, padding: Padding) -> Tensor:
    """Returns the padded layout (m, ...) of rows (n, ...) with zeros at padding; no gradient."""
    zeros = rows.new_zeros(len(padding.source), *rows.shape[1:])
    return zeros.index_copy_(0, padding.place, rows)


def _gather(x: Tensor, index: Tensor, inverse: Tensor, *, has_gaps: bool) -> Tensor:
    gathered: Tensor = _Gather.apply(x, index, inverse, has_gaps)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    """Gathers by one index; the gradient is gathered, or put back among zeros, by the other.

    torch's own gradient of a gather adds up over the padding, in an order that a GPU does not
    fix, and takes several times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor, has_gaps: bool) -> Tensor:
        ctx.save_for_backward(index, inverse)
        ctx.has_gaps = has_gaps
        return x.index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        index, inverse = ctx.saved_tensors
        if ctx.has_gaps:
            return zero_padded(gradient, Padding(inverse, index)), None, None, None
        return gradient.index_select(0, inverse), None, None, None
