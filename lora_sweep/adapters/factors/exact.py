"""Frozen weight -> factors A, B by exact truncated SVD.

For W (d_out, d_in) and W^T = U S V^T:

    A = (U_r S_r)^T  (r, d_in)        B = V_r  (d_out, r)        B A is the best rank-r W

The factors nest: the leading r rows of A and columns of B are the factors of rank r.
"""

import torch
from torch import Tensor

from lora_sweep.adapters.factors.checks import check_factorable


def svd_factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Returns A (rank, d_in) and B (d_out, rank), float32, on the weight's device.

    The factorisation runs in float64. Of the two signs of a singular pair the one is taken that
    makes the largest entry of A's row positive, so that machines agree.

    Args:
        weight: W (d_out, d_in), any floating type.
        rank: within 1 ... min(d_out, d_in).

    Raises:
        ValueError: the rank is out of range, or the weight is not finite.

    Source: LoRA-XS (arXiv 2405.17604), section 3; the sign rule is ours.
    """
    check_factorable(weight, rank)
    u, s, vt = torch.linalg.svd(weight.double().mT, full_matrices=False)
    a = (u[:, :rank] * s[:rank]).mT  # (rank, d_in)
    b = vt[:rank].mT  # (d_out, rank)
    largest = a.gather(1, a.abs().argmax(dim=1, keepdim=True))  # (rank, 1)
    sign = torch.where(largest < 0, -1.0, 1.0)
    return (a * sign).float().contiguous(), (b * sign.mT).float().contiguous()
