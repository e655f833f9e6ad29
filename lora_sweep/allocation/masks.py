"""Ranks -> masks over R.

    p_i(k)          = softmax over k in rank_min ... rank_max of -alpha log(1 + (ranks_i - k)^2)
                      + tau Gumbel(0, 1)
    soft mask       M_i[a, b] = P(k > max(a, b))                 a, b from 0
    discrete mask   M_i[a, b] = 1 if max(a, b) < integer_ranks_i else 0

The run axis comes first: K runs, N adapted matrices, masks (K, N, r, r), where r is the largest
rank_max of the runs; a run with a smaller one has zeros outside its leading block.
"""

import torch
from torch import Tensor


def soft_masks(
    ranks: Tensor,
    alpha: Tensor,
    *,
    rank_min: Tensor,
    rank_max: Tensor,
    r: int,
    noise: Tensor | None = None,
) -> Tensor:
    """Returns soft masks (K, N, r, r), differentiable in the ranks: `kept_shells` as squares."""
    kept = kept_shells(ranks, alpha, rank_min=rank_min, rank_max=rank_max, r=r, noise=noise)
    return square_masks(kept)


def kept_shells(
    ranks: Tensor,
    alpha: Tensor,
    *,
    rank_min: Tensor,
    rank_max: Tensor,
    r: int,
    noise: Tensor | None = None,
) -> Tensor:
    """Returns P(k > m) for m = 0 ... r-1 (K, N, r): how much shell m of each matrix is kept.

    Shell m of R holds the 2 m + 1 entries whose larger index is m.

    Args:
        ranks: real-valued ranks (K, N).
        alpha: sharpness (K,), above 0.
        rank_min: least rank (K,), at least 1.
        rank_max: largest rank (K,), at most r.
        r: stored size of R.
        noise: tau times Gumbel(0, 1) draws (K, N, r), for k = 1 ... r; None for tau = 0.

    Source: the published study.
    """
    log_weights = _log_weights(ranks, alpha, rank_min=rank_min, rank_max=rank_max, r=r)
    if noise is not None:
        log_weights = log_weights + noise
    p = torch.softmax(log_weights, dim=-1)  # (K, N, r)
    # P(k > m) is the sum over k = m+1 ... r, and k = m+1 stands at place m.
    return p.flip(-1).cumsum(-1).flip(-1)


def square_masks(kept: Tensor) -> Tensor:
    """Returns the masks (K, N, r, r) whose shells have the values (K, N, r)."""
    r = kept.shape[-1]
    flat = kept.index_select(-1, _larger_index(r, kept.device).flatten())  # (K, N, r r)
    return flat.view(*kept.shape, r)


def discrete_masks(integer_ranks: Tensor, r: int) -> Tensor:
    """Returns discrete masks (K, N, r, r), float32: ones in the leading square.

    Args:
        integer_ranks: ranks (K, N), integers.
        r: stored size of R.
    """
    larger = _larger_index(r, integer_ranks.device)  # (r, r)
    return (larger < integer_ranks[..., None, None]).float()


def gumbel_noise(n_matrices: int, r: int, *, tau: float, generator: torch.Generator) -> Tensor:
    """Returns tau times independent Gumbel(0, 1) draws (N, r) of one run."""
    exponential = torch.empty(n_matrices, r).exponential_(generator=generator)
    return -tau * exponential.log()


def _log_weights(
    ranks: Tensor, alpha: Tensor, *, rank_min: Tensor, rank_max: Tensor, r: int
) -> Tensor:
    """Unnormalised log p(k), k = 1 ... r, (K, N, r): minus infinity outside the rank range."""
    k = torch.arange(1, r + 1, dtype=ranks.dtype, device=ranks.device)  # (r,)
    distance = ranks[..., None] - k  # (K, N, r)
    inside = (k >= rank_min[:, None]) & (k <= rank_max[:, None])  # (K, r)
    log_weights = -alpha[:, None, None] * torch.log1p(distance**2)
    return log_weights.masked_fill(~inside[:, None, :], -torch.inf)


def _larger_index(r: int, device: torch.device) -> Tensor:
    """Entry [a, b] is max(a, b), (r, r)."""
    i = torch.arange(r, device=device)
    return torch.maximum(i[:, None], i[None, :])
