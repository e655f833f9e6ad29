"""Ranks by importance: no logits; what matters least to the loss is cut, down to the budget.

After every step, for every entry w of R that the mask keeps, with gradient g of the loss:

    I   = |w g|                                        sensitivity: how the loss changes without w
    I~  = beta1 I~ + (1 - beta1) I                     smoothed
    U~  = beta2 U~ + (1 - beta2) |I - I~|              its uncertainty
    s   = I~ U~

Shell m of a matrix (the 2 m + 1 entries whose larger index is m: what rank m + 1 has more than
rank m) scores the mean of its entries' s. All matrices start at rank_max; every few steps the
outermost shell that scores least, over all matrices, is dropped, until the budget holds.

Source: AdaLoRA (arXiv 2303.10512), equations 8 to 11 and the cubic schedule. Ours: shells of
LoRA-XS's R in place of triplets of an SVD; a dropped shell gets no gradient that could speak for
it, so ranks only fall.
"""

import heapq
import math

import torch
from torch import Tensor


def shrunk_budget(
    step: int, *, start: float, end: float, first: int, last: int, every: int
) -> float:
    """Returns the rank budget M_p after so many steps: a falling cubic, in stairs.

    M_p = end + (start - end) (1 - (t - first) / (last - first))^3, with t the step at or before
    `step` that is `first` plus a multiple of `every`

    Args:
        step: steps taken so far; the budget is `start` up to `first`, `end` from `last` on.
        start: M_p before any cut, in entries of R.
        end: M_p after the last one.
        first: steps before the fall.
        last: steps until the budget is `end`, at least `first`.
        every: steps between two cuts, at least 1.

    Source: AdaLoRA (arXiv 2303.10512), section 3.3; there in ranks, here in entries of R.
    """
    if step >= last:
        return end
    if step <= first:
        return start
    done = (step - first) // every * every
    return end + (start - end) * float(1 - done / (last - first)) ** 3


@torch.no_grad()
def smooth_importance(
    sensitivity: Tensor, uncertainty: Tensor, latest: Tensor, *, beta1: Tensor, beta2: Tensor
) -> None:
    """Moves both averages on by a step, in place.

    Args:
        sensitivity: I~ (K, N, r, r).
        uncertainty: U~ (K, N, r, r).
        latest: I of this step (K, N, r, r).
        beta1: weight of the past in I~ (K,), 0 <= beta1 < 1.
        beta2: weight of the past in U~ (K,), 0 <= beta2 < 1.
    """
    sensitivity.lerp_(latest, (1 - beta1)[:, None, None, None])
    uncertainty.lerp_((latest - sensitivity).abs_(), (1 - beta2)[:, None, None, None])


def shell_scores(entries: Tensor) -> Tensor:
    """Returns the mean of every shell's entries (K, N, r).

    Args:
        entries: scores of the entries of R (K, N, r, r).
    """
    sums = entries.tril().sum(dim=-1) + entries.triu(1).sum(dim=-2)  # (K, N, r)
    m = torch.arange(sums.shape[-1], dtype=sums.dtype, device=sums.device)
    return sums / (2 * m + 1)


def cut_ranks(
    ranks: list[int], scores: list[list[float]], budget_params: float, *, rank_min: int
) -> list[int]:
    """Returns the ranks that are left within the budget.

    The outermost shell with the least score goes, again and again. What the last one leaves
    unspent brings back shells of this cut, the last ones dropped first, as far as they fit.

    Args:
        ranks: integer ranks (N).
        scores: of the shells of every matrix (N, r).
        budget_params: M_p, at least N rank_min^2.
        rank_min: least rank.

    Returns:
        N integers within rank_min ... ranks, sum of squares at most M_p.
    """
    left, budget = list(ranks), math.floor(budget_params + 1e-6)
    spent = sum(rank * rank for rank in left)
    outermost = [(scores[i][rank - 1], i) for i, rank in enumerate(left) if rank > rank_min]
    heapq.heapify(outermost)
    dropped = []
    while spent > budget:
        _, i = heapq.heappop(outermost)
        left[i] -= 1
        spent -= 2 * left[i] + 1
        dropped.append(i)
        if left[i] > rank_min:
            heapq.heappush(outermost, (scores[i][left[i] - 1], i))
    for i in reversed(dropped):
        cost = 2 * left[i] + 1
        if spent + cost <= budget:
            left[i] += 1
            spent += cost
    return left
