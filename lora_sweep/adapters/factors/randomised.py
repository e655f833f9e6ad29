"""Frozen weight -> factors A, B by randomised truncated SVD, as LoRA-XS's own code makes them.

    A = (W^T V)^T  (r, d_in)        B = V  (d_out, r)

V (d_out, r) approximates the leading right singular vectors of W^T: a random projection, ten power
iterations, float32. The last of the r directions are the least exact, and depend on r: factors of
a smaller rank are not the leading part of those of a larger one.
"""

import torch
from torch import Tensor

from lora_sweep.adapters.factors.checks import check_factorable

N_ITERATIONS = 10


def randomised_factors(weight: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns A (rank, d_in) and B (d_out, rank), float32, on the weight's device.

    Args:
        weight: W (d_out, d_in), any floating type.
        rank: within 1 ... min(d_out, d_in).
        seed: of the random projection, 0 ... 2^32 - 1.

    Raises:
        ValueError: the rank is out of range, or the weight is not finite.

    Source: LoRA-XS's code (github.com/MohammadrezaBanaei/LoRA-XS), `utils/svd_utils.py`, with
    `n_iter` 10 and `random_state` 42 from `config/reconstruct_config.yaml`; the algorithm is that
    of Halko, Martinsson and Tropp, SIAM Review 53 (2011).
    """
    from sklearn.decomposition import TruncatedSVD

    check_factorable(weight, rank)
    matrix = weight.detach().cpu().float().mT.numpy()  # (d_in, d_out)
    svd = TruncatedSVD(n_components=rank, n_iter=N_ITERATIONS, random_state=seed)
    right = svd.fit(matrix).components_  # (rank, d_out)
    A = torch.from_numpy((matrix @ right.T).T.copy())  # (rank, d_in)
    B = torch.from_numpy(right.T.copy())  # (d_out, rank)
    return A.to(weight.device), B.to(weight.device)
