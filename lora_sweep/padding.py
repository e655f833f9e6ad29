"""Rows in line <-> the places of a padded layout: two gathers, and their gradients.

Where the layout has padding, `pad` repeats a row of the same text or run instead of writing zeros:
whoever reads a padded layout masks its padding, and what is not finite in one run then never
stands in another's place. The gradient of `pad` at padding is dropped, that of `unpad` is zero.

Behind the rows may follow spare ones, which have no place: they are zero where rows come from
places, and no gradient comes to them.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


class Padding(NamedTuple):
    """How n rows stand in a layout of m >= n places.

    Attributes:
        source: which row each place shows (m,); at padding, another row of the same owner.
        place: which place each row has (n,).
        spare: which rows stand in no place: those that follow the n (n_spare,). They are a tensor
            because torch.compile makes a graph for every value of a number.
    """

    source: Tensor
    place: Tensor
    spare: Tensor = torch.empty(0, dtype=torch.long)


def pad(rows: Tensor, padding: Padding) -> Tensor:
    """Returns the padded layout (m, ...) of rows (n + n_spare, ...)."""
    layout: Tensor = _Pad.apply(rows, padding)  # type: ignore[no-untyped-call]
    return layout


def unpad(places: Tensor, padding: Padding) -> Tensor:
    """Returns the rows (n + n_spare, ...) of a padded layout (m, ...)."""
    rows: Tensor = _Unpad.apply(places, padding)  # type: ignore[no-untyped-call]
    return rows


def zero_padded(rows: Tensor, padding: Padding) -> Tensor:
    """Returns the padded layout (m, ...) of rows, with zeros at padding; no gradient."""
    zeros = rows.new_zeros(len(padding.source), *rows.shape[1:])
    return zeros.index_copy_(0, padding.place, rows[: len(padding.place)])


def _rows_at(places: Tensor, padding: Padding) -> Tensor:
    """Returns the rows (n + n_spare, ...) of a padded layout, spare ones zero; no gradient."""
    rows = places.index_select(0, padding.place)
    n_spare = len(padding.spare)
    return rows if n_spare == 0 else functional.pad(rows, (0, 0) * (rows.dim() - 1) + (0, n_spare))


class _Pad(torch.autograd.Function):
    """Gathers by one index; the gradient is gathered, or put back among zeros, by the other.

    torch's own gradient of a gather adds up over the padding, in an order that a GPU does not
    fix, and takes several times as long.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, padding: Padding) -> Tensor:
        ctx.padding = padding
        return rows.index_select(0, padding.source)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _rows_at(gradient, ctx.padding), None


class _Unpad(torch.autograd.Function):
    """The other way round, see `_Pad`."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, padding: Padding) -> Tensor:
        ctx.padding = padding
        return _rows_at(places, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return zero_padded(gradient, ctx.padding), None
