"""What a weight and a rank must be, whatever the kind of factors."""

import torch
from torch import Tensor


def check_factorable(weight: Tensor, rank: int) -> None:
    """Raises unless a weight has factors of this rank.

    Args:
        weight: W (d_out, d_in).
        rank: that is wanted.

    Raises:
        ValueError: the rank is out of range, or the weight is not finite.
    """
    if not 1 <= rank <= min(weight.shape):
        shape = tuple(weight.shape)
        raise ValueError(
            f"rank must be within 1 ... {min(shape)} for a matrix {shape}, but got {rank}"
        )
    if not torch.isfinite(weight).all():
        raise ValueError("weight must be finite, but got NaN or infinity")
