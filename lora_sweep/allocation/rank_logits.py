"""Whole ranks -> starting logits with which a training begins at these ranks.

A matrix at rank_min has no share of what is above it, and one at rank_max no more to get: its
logit would be infinite and get no gradient. So all ranks are drawn towards the average a, with the
budget kept, p and units of its costs (2 and 1, of LoRA-XS):

    real_i^p = (1 - phi) ranks_i^p + phi a^p,   M_p = a^p sum_i unit_i

phi is the largest share that moves no rank by more than 1/4, so that every rounding of the real
ones, within the budget or to the nearest, is the whole ranks again.

Source: ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lora_sweep.allocation.costs import SQUARES, RankCosts
from lora_sweep.allocation.mode import LogitMode, Terms
from lora_sweep.allocation.plan import AllocationPlan

MOST_MOVED = 0.25
"""Ranks by which the start may differ from the whole ranks."""


def logits_of_ranks(
    ranks: Sequence[int], plan: AllocationPlan, costs: RankCosts = SQUARES
) -> tuple[float, ...]:
    """Returns logits (N) at which the plan's mode has these ranks, at the budget it ends with.

    Args:
        ranks: N of them, within rank_min ... rank_max, that spend the budget.
        plan: of the run; its mode has logits.
        costs: of the ranks.
    """
    import torch

    average = plan.budget_averages[1]
    low, high = plan.rank_min, plan.rank_max
    if not low < average < high:  # all ranks are equal
        return (0.0,) * len(ranks)
    p = costs.power
    phi = _share_of_average(low, high, average, p)
    whole = torch.tensor([ranks], dtype=torch.float64)
    real = costs.roots((1 - phi) * whole**p + phi * average**p)  # (1, N)

    def one(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float64)

    terms = Terms(
        budget_params=one(costs.budget(average, len(ranks))),
        alpha=one(plan.alpha_max),
        alpha_max=one(plan.alpha_max),
        rank_min=one(low),
        rank_max=one(high),
        r=high,
        costs=costs,
    )
    assert isinstance(plan.mode, LogitMode), "only runs with logits start at some"
    return tuple(plan.mode.logits(real, terms)[0].tolist())


def _share_of_average(low: float, high: float, average: float, p: int) -> float:
    """phi: at rank_min and at rank_max a rank moves the most."""
    at_low = ((low + MOST_MOVED) ** p - low**p) / (average**p - low**p)
    at_high = (high**p - (high - MOST_MOVED) ** p) / (high**p - average**p)
    return min(at_low, at_high, math.nextafter(1.0, 0.0))
