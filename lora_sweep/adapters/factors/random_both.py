"""Random A and B at the scale of the SVD's: what are singular vectors good for?

    A = (a_1 s_1, ..., a_r s_r)^T  (r, d_in)        B = (b_1, ..., b_r)  (d_out, r)

with s_k the singular values of W and a_k, b_k independent random directions of length 1. Every row
of A and column of B is as long as the SVD's; directions of one factor are not orthogonal.
"""

import torch
from torch import Tensor

from lora_sweep.adapters.factors.checks import check_factorable
from lora_sweep.adapters.factors.draws import directions, gaussian_columns


def random_factors(weight: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns A (rank, d_in) and B (d_out, rank), float32, on the weight's device.

    Args:
        weight: W (d_out, d_in), any floating type.
        rank: within 1 ... min(d_out, d_in).
        seed: of the directions, 0 ... 2^32 - 1.

    Raises:
        ValueError: the rank is out of range, or the weight is not finite.

    Source: ours; LoRA-XS (arXiv 2405.17604) takes the SVD's.
    """
    check_factorable(weight, rank)
    values = torch.linalg.svdvals(weight.double())[:rank].cpu()
    A = (directions(gaussian_columns(weight, rank, seed, "A")) * values).mT
    return A.float().to(weight.device).contiguous(), random_B(weight, rank, seed)


def random_B(weight: Tensor, rank: int, seed: int) -> Tensor:
    """Returns random directions (d_out, rank) of length 1, float32, on the weight's device.

    Args:
        weight: W (d_out, d_in), that they are for.
        rank: how many.
        seed: of the directions, 0 ... 2^32 - 1.
    """
    B = directions(gaussian_columns(weight, rank, seed, "B"))
    return B.float().to(weight.device).contiguous()
