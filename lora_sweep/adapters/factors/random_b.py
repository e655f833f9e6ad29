"""The SVD's A and a random B: does the output side need the singular vectors?

    A = (U_r S_r)^T  (r, d_in)        B = (b_1, ..., b_r)  (d_out, r)

with b_k independent random directions of length 1, the length of the SVD's.
"""

from torch import Tensor

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.factors.random_both import random_B


def random_b_factors(weight: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns A (rank, d_in) and B (d_out, rank), float32, on the weight's device.

    Args:
        weight: W (d_out, d_in), any floating type.
        rank: within 1 ... min(d_out, d_in).
        seed: of the directions, 0 ... 2^32 - 1.

    Raises:
        ValueError: the rank is out of range, or the weight is not finite.

    Source: ours; LoRA-XS (arXiv 2405.17604) takes the SVD's B too.
    """
    A, _ = svd_factors(weight, rank)
    return A, random_B(weight, rank, seed)
