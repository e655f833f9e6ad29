"""Frozen weight -> frozen factors A, B by truncated SVD, cached on disk.

For W (d_out, d_in) and W^T = U S V^T:

    A = (U_r S_r)^T  (r, d_in)        B = V_r  (d_out, r)        B A is the best rank-r W

The factors nest: the leading r rows of A and columns of B are the factors of rank r. So one
factorisation, kept on disk under the weight's own content, serves every run and rank range.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lora_sweep.tensor_files import kept_tensors

FORMAT_VERSION = 2
STORED_RANK = 128
"""Ranks that a cached factorisation holds at least (as far as the matrix has them)."""


@dataclass(frozen=True)
class Factoriser:
    """Weight -> factors of a rank at least; unlike a function of one's own it can be pickled.

    Attributes:
        rank: least rank wanted.
        cache_dir: folder that keeps factors; None for none.
    """

    rank: int
    cache_dir: Path | None

    def __call__(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns A (r, d_in) and B (d_out, r), r >= rank, float32.

        Raises:
            ValueError: as in `svd_factors`.
        """
        if self.cache_dir is None:
            return svd_factors(weight, self.rank)
        return cached_factors(weight, self.rank, self.cache_dir)


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
    if not 1 <= rank <= min(weight.shape):
        shape = tuple(weight.shape)
        raise ValueError(
            f"rank must be within 1 ... {min(shape)} for a matrix {shape}, but got {rank}"
        )
    if not torch.isfinite(weight).all():
        raise ValueError("weight must be finite, but got NaN or infinity")
    u, s, vt = torch.linalg.svd(weight.double().mT, full_matrices=False)
    a = (u[:, :rank] * s[:rank]).mT  # (rank, d_in)
    b = vt[:rank].mT  # (d_out, rank)
    largest = a.gather(1, a.abs().argmax(dim=1, keepdim=True))  # (rank, 1)
    sign = torch.where(largest < 0, -1.0, 1.0)
    return (a * sign).float().contiguous(), (b * sign.mT).float().contiguous()


def cached_factors(weight: Tensor, rank: int, cache_dir: Path) -> tuple[Tensor, Tensor]:
    """Returns A (r, d_in) and B (d_out, r) with r >= rank, from disk where they are known.

    The file is named after the weight's content. Processes that want it at once wait for the
    first one; the file appears whole or not at all.

    Args:
        weight: W (d_out, d_in) on any device.
        rank: least rank wanted.
        cache_dir: folder of the cache; made if it is not there.

    Raises:
        ValueError: as in `svd_factors`.
        StorageError: they are not there, and can't be written.
    """
    stored_rank = min(max(rank, STORED_RANK), *weight.shape)
    if rank > stored_rank:
        return svd_factors(weight, rank)  # raises with the matrix's own limit
    path = cache_dir / "factors" / f"{_content_key(weight)}-{stored_rank}.safetensors"

    def make() -> dict[str, Tensor]:
        a, b = svd_factors(weight, stored_rank)
        return {"A": a, "B": b}

    factors = kept_tensors(path, make, consequence="the factors are made anew")
    return factors["A"].to(weight.device), factors["B"].to(weight.device)


def _content_key(weight: Tensor) -> str:
    """SHA-256 of the file's format, and of a matrix's shape, type and bytes."""
    content = weight.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{FORMAT_VERSION} {tuple(content.shape)} {content.dtype}".encode())
    digest.update(content.view(torch.uint8).numpy().data)
    return digest.hexdigest()
