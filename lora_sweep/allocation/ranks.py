"""Allocation logits + rank budget -> real-valued ranks -> integer ranks.

    ranks_i = sqrt(rank_min^2 + (M_p - N rank_min^2) softmax(w)_i)

The run axis comes first: K runs, N adapted matrices. `budget_params` is M_p = sum of ranks^2, in
entries of R. Two modes:

- `published`: the formula as it is; a rank above rank_max wastes the part above.
- `capped`: what is over rank_max goes to the others in proportion to their softmax, so that
  rank_min <= ranks <= rank_max and sum ranks^2 = M_p.

`capped` and the rounding take other costs too, unit_i rank^p (`allocation.costs`), in place of the
squares: then M_p = sum unit_i ranks_i^p.
"""

import math

import torch
from torch import Tensor

from lora_sweep.allocation.costs import SQUARES, RankBudget, RankCosts


def published_ranks(logits: Tensor, budget_params: Tensor, rank_min: Tensor) -> Tensor:
    """Returns real-valued ranks by the formula above, which may exceed rank_max.

    Args:
        logits: allocation logits w (K, N).
        budget_params: M_p (K,), at least N rank_min^2.
        rank_min: least rank (K,).

    Returns:
        Ranks (K, N); differentiable in the logits.

    Source: the published study.
    """
    floor = rank_min[:, None] ** 2  # (K, 1)
    spare = budget_params[:, None] - logits.shape[1] * floor  # (K, 1)
    return torch.sqrt(floor + spare * torch.softmax(logits, dim=1))


def capped_ranks(
    logits: Tensor,
    budget_params: Tensor,
    rank_min: Tensor,
    rank_max: Tensor,
    costs: RankCosts = SQUARES,
) -> Tensor:
    """Returns real-valued ranks within rank_min ... rank_max that spend the budget exactly.

    ranks_i^p - rank_min^p = min(rank_max^p - rank_min^p, level exp(w_i)), with the one level at
    which sum unit_i ranks_i^p = M_p (water-filling). So equal logits are equal ranks, whatever the
    matrices cost. With LoRA-XS's costs (p = 2, units 1) and no matrix over the cap, the ranks are
    those of `published_ranks`. A matrix at the cap passes no gradient to its own logit.

    Args:
        logits: allocation logits w (K, N).
        budget_params: M_p (K,), within what rank_min and what rank_max in every matrix cost.
        rank_min: least rank (K,).
        rank_max: largest rank (K,).
        costs: of the ranks.

    Returns:
        Ranks (K, N); differentiable in the logits.

    Source: ours.
    """
    p, units = costs.power, costs.units_on(logits)
    floor, cap = rank_min[:, None] ** p, (rank_max**p - rank_min**p)[:, None]  # (K, 1)
    spare = budget_params[:, None] - units.sum() * floor  # (K, 1)
    share = torch.softmax(logits + units.log(), dim=1)  # (K, N), of what is spent
    at_cap = _at_cap(share.detach(), spare, cap, units)
    free_share = torch.where(at_cap, 0.0, share)
    free_total = free_share.sum(dim=1, keepdim=True)
    left = spare - cap * (units * at_cap).sum(dim=1, keepdim=True)
    level = left / torch.where(free_total > 0, free_total, 1.0)
    above = torch.where(at_cap, cap, torch.minimum(level * free_share / units, cap))  # (K, N)
    return costs.roots(floor + above)


def _at_cap(share: Tensor, spare: Tensor, cap: Tensor, units: Tensor) -> Tensor:
    """Which matrices the water-filling holds at the cap: the m largest for their unit, m least."""
    ordered, order = (share / units).sort(dim=1, descending=True)  # (K, N)
    own = units[order]  # (K, N)
    # The level if the m largest are at the cap: what they leave, over the others' shares.
    others = (own * ordered).flip(1).cumsum(1).flip(1)
    before = own.cumsum(1) - own  # units of the m largest
    over = (spare - before * cap) * ordered > cap * others * (1 + 1e-12)
    # Once the m-th largest is under the cap, all smaller ones are.
    return torch.zeros_like(over).scatter(1, order, over.cumprod(1).bool())


def budget_over_cap(ranks: Tensor, rank_max: Tensor, costs: RankCosts = SQUARES) -> Tensor:
    """Returns the part of the budget (K,) above rank_max, in parameters: it buys nothing.

    Args:
        ranks: real-valued ranks (K, N).
        rank_max: largest rank (K,).
        costs: of the ranks.
    """
    p, units = costs.power, costs.units_on(ranks)
    return (units * torch.relu(ranks**p - rank_max[:, None] ** p)).sum(dim=1)


def nearest_integer_ranks(ranks: list[float], rank_max: int) -> list[int]:
    """Returns each rank rounded to the nearest integer, half to even, at most rank_max.

    Source: the published study.
    """
    return [min(round(rank), rank_max) for rank in ranks]


def integer_ranks_within_budget(ranks: list[float], budget: RankBudget) -> list[int]:
    """Returns the rounding (each rank down or up) that spends most of the budget, never more.

    Which ranks to round up is a subset-sum problem, solved exactly; of equally good subsets, the
    one that prefers to round up the ranks with the largest fraction.

    Args:
        ranks: real-valued ranks (N,) that cost at most M_p up to float error.
        budget: M_p is at least what rank_min in every matrix costs.

    Returns:
        N integers within rank_min ... rank_max that cost at most M_p.

    Source: ours.
    """
    low, high, costs = budget.rank_min, budget.rank_max, budget.costs
    down = [min(max(math.floor(rank), low), high) for rank in ranks]
    room = max(math.floor(budget.params + 1e-6) - costs.spent(down), 0)
    # A rank already whole has no other rounding.
    ups = [i for i, rank in enumerate(ranks) if rank > down[i] and down[i] < high]
    ups.sort(key=lambda i: (ranks[i] - down[i], -i))
    steps = [costs.step(i, down[i]) for i in ups]
    common = math.gcd(*steps) or 1  # counts in it are small where all matrices are large
    chosen = _best_subset([step // common for step in steps], room // common)
    up = {ups[position] for position in chosen}
    return [rank + 1 if i in up else rank for i, rank in enumerate(down)]


def _best_subset(costs: list[int], room: int) -> list[int]:
    """Positions of a subset with the largest sum <= room; later positions are preferred."""
    within = (1 << (room + 1)) - 1
    reachable = [1]  # bit s of entry j: some subset of the first j costs sums to s
    for cost in costs:
        reachable.append((reachable[-1] | reachable[-1] << cost) & within)
    total = reachable[-1].bit_length() - 1
    chosen = []
    for j in range(len(costs) - 1, -1, -1):
        rest = total - costs[j]
        if rest >= 0 and reachable[j] >> rest & 1:
            chosen.append(j)
            total = rest
    return chosen
