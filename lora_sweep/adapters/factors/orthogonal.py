"""Random orthonormal bases at the scale of the SVD's: its geometry without its directions.

    A = (Q_A S_r)^T  (r, d_in)        B = Q_B  (d_out, r)

with S_r the leading singular values of W, and Q_A (d_in, r), Q_B (d_out, r) the leading columns of
random orthogonal matrices.
"""

import torch
from torch import Tensor

from lora_sweep.adapters.factors.checks import check_factorable
from lora_sweep.adapters.factors.draws import gaussian_columns


def orthogonal_factors(weight: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns A (rank, d_in) and B (d_out, rank), float32, on the weight's device.

    Args:
        weight: W (d_out, d_in), any floating type.
        rank: within 1 ... min(d_out, d_in).
        seed: of the bases, 0 ... 2^32 - 1.

    Raises:
        ValueError: the rank is out of range, or the weight is not finite.

    Source: ours; LoRA-XS (arXiv 2405.17604) takes the SVD's. Uniform orthogonal matrices by QR:
    Mezzadri, Notices of the AMS 54 (2007), section 5.
    """
    check_factorable(weight, rank)
    values = torch.linalg.svdvals(weight.double())[:rank].cpu()
    A = (_basis(weight, seed, "A")[:, :rank] * values).mT.float()
    B = _basis(weight, seed, "B")[:, :rank].float()
    return A.to(weight.device).contiguous(), B.to(weight.device).contiguous()


def _basis(weight: Tensor, seed: int, stream: str) -> Tensor:
    """Orthonormal columns (d, min(d_out, d_in)), whatever the rank: so that bases nest."""
    columns = gaussian_columns(weight, min(weight.shape), seed, stream)
    Q, R = torch.linalg.qr(columns)
    basis: Tensor = Q * torch.sign(torch.diagonal(R))
    return basis
