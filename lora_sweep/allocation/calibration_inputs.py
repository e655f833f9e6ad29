"""What a calibration may use: gradients and inputs of the adapted matrices on some batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CalibrationInputs:
    """All that a calibration may use, computed batch by batch as it is asked for.

    Attributes:
        weights: W of every matrix (d_out, d_in), N in module order.
        gradients: yields for every batch the gradients of its mean loss in the weights, N
            tensors (d_out, d_in).
        activations: yields for every batch what goes into the matrices, N tensors (T, d_in), a
            row a real token.
        rank_max: size at which R is stored.
    """

    weights: Sequence[Tensor]
    gradients: Callable[[], Iterator[Sequence[Tensor]]]
    activations: Callable[[], Iterator[Sequence[Tensor]]]
    rank_max: int
