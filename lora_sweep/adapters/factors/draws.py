"""Random directions for the factors of a weight: the same for every run over a base.

A draw depends on the seed, the weight's shape and the signs of its entries, which no other
precision changes; so each matrix has draws of its own, and a base has the same ones everywhere.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor


def gaussian_columns(weight: Tensor, n: int, seed: int, stream: str) -> Tensor:
    """Returns n independent columns (d, n) of N(0, 1), float64, on the CPU.

    d is d_in for the stream `A`, d_out for `B`. The leading columns of more are those of fewer.

    Args:
        weight: W (d_out, d_in), that the draws are for.
        n: columns, at least 1.
        seed: 0 ... 2^32 - 1.
        stream: the factor that they are for, `A` or `B`.
    """
    d = weight.shape[1] if stream == "A" else weight.shape[0]
    # Of numpy's generators this one is promised to draw the same in every version.
    generator = np.random.RandomState([seed, *_words(weight, stream)])
    rows = generator.standard_normal((n, d))  # row after row, so that more of them only go on
    columns: Tensor = torch.from_numpy(rows).mT
    return columns


def directions(columns: Tensor) -> Tensor:
    """Returns columns (d, n) of length 1.

    Args:
        columns: (d, n), none of them zero.
    """
    lengths: Tensor = torch.linalg.vector_norm(columns, dim=0)
    return columns / lengths


def _words(weight: Tensor, stream: str) -> list[int]:
    """SHA-256 of stream, shape and signs as eight numbers of 32 bits."""
    signs = np.packbits(np.signbit(weight.detach().cpu().float().numpy()))
    digest = hashlib.sha256(f"{stream} {tuple(weight.shape)}".encode())
    digest.update(signs.tobytes())
    return [int(word) for word in np.frombuffer(digest.digest(), dtype="<u4")]
