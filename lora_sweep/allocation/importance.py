"""Ranks by importance: no logits; what matters least to the loss is cut, down to the budget.

After every step, for every entry w of R that the mask keeps, with gradient g of the loss:

    I   = |w g|                                        sensitivity: how the loss changes without w
    I~  = beta1 I~ + (1 - beta1) I                     smoothed
    U~  = beta2 U~ + (1 - beta2) |I - I~|              its uncertainty
    s   = I~ U~

Shell m of a matrix (the 2 m + 1 entries whose larger index is m: what rank m + 1 has more than
rank m) scores the mean of its entries' s. All matrices start at rank_max; every few steps the
outermost shell that scores least, over all matrices, is dropped, until the budget holds.

Of LoRA a component takes the shell's place: row m of A and column m of B. Which scores the entries
of a kind of adapter come to is the kind's own (`AdapterKind.component_scores`).

Source: AdaLoRA (arXiv 2303.10512), equations 8 to 11 and the cubic schedule. Ours: shells of
LoRA-XS's R in place of triplets of an SVD; a dropped shell gets no gradient that could speak for
it, so ranks only fall.
"""

import heapq
import math

import torch
from torch import Tensor

from lora_sweep.allocation.costs import SQUARES, RankCosts


def shrunk_budget(
    step: int, *, start: float, end: float, first: int, last: int, every: int
) -> float:
    """Returns the rank budget M_p after so many steps: a falling cubic, in stairs.

    M_p = end + (start - end) (1 - (t - first) / (last - first))^3, with t the step at or before
    `step` that is `first` plus a multiple of `every`

    Args:
        step: steps taken so far; the budget is `start` up to `first`, `end` from `last` on.
        start: M_p before any cut, in parameters.
        end: M_p after the last one.
        first: steps before the fall.
        last: steps until the budget is `end`, at least `first`.
        every: steps between two cuts, at least 1.

    Source: AdaLoRA (arXiv 2303.10512), section 3.3; there in ranks, here in parameters.
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
        sensitivity: I~ (K, ...), of the entries of a parameter.
        uncertainty: U~ (K, ...).
        latest: I of this step (K, ...).
        beta1: weight of the past in I~ (K,), 0 <= beta1 < 1.
        beta2: weight of the past in U~ (K,), 0 <= beta2 < 1.
    """
    by_run = (-1, *[1] * (latest.dim() - 1))
    sensitivity.lerp_(latest, (1 - beta1).view(by_run))
    uncertainty.lerp_((latest - sensitivity).abs_(), (1 - beta2).view(by_run))


def cut_ranks(
    ranks: list[int],
    scores: list[list[float]],
    budget_params: float,
    *,
    rank_min: int,
    costs: RankCosts = SQUARES,
) -> list[int]:
    """Returns the ranks that are left within the budget.

    The outermost shell with the least score goes, again and again. What the last one leaves
    unspent brings back shells of this cut, the last ones dropped first, as far as they fit.

    Args:
        ranks: integer ranks (N).
        scores: of the shells of every matrix (N, r).
        budget_params: M_p, at least what rank_min in every matrix costs.
        rank_min: least rank.
        costs: of the ranks.

    Returns:
        N integers within rank_min ... ranks that cost at most M_p.
    """
    left, budget = list(ranks), math.floor(budget_params + 1e-6)
    spent = costs.spent(left)
    outermost = [(scores[i][rank - 1], i) for i, rank in enumerate(left) if rank > rank_min]
    heapq.heapify(outermost)
    dropped = []
    while spent > budget:
        _, i = heapq.heappop(outermost)
        left[i] -= 1
        spent -= costs.step(i, left[i])
        dropped.append(i)
        if left[i] > rank_min:
            heapq.heappush(outermost, (scores[i][left[i] - 1], i))
    for i in reversed(dropped):
        cost = costs.step(i, left[i])
        if spent + cost <= budget:
            left[i] += 1
            spent += cost
    return left
