"""Scores of the matrices -> ranks that spend a budget: first real-valued, then whole and exact.

There are N matrices; the budget M_p is counted in parameters, of LoRA-XS in entries of R: sum of
ranks^2. All ranks lie within rank_min ... rank_max.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lora_sweep.allocation.costs import RankBudget
from lora_sweep.rules import require

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_SHARE = 1e-12
"""A score below this share of the largest one counts as that much: its logarithm is finite."""
_ROUNDING = 1e-6
"""A budget so little below a whole number is that number."""


def ranks_by_share(scores: Tensor, budget: RankBudget) -> list[float]:
    """Returns real-valued ranks (N) whose part of the budget is in proportion to their scores.

    unit_i (ranks_i^p - rank_min^p) = min(unit_i (rank_max^p - rank_min^p), level s_i), with the
    one level at which M_p is spent: the ranks that logits log(s_i / unit_i) have with
    `allocation=capped`. Of LoRA-XS p = 2 and all units are 1.

    Args:
        scores: (N, 1), at least 0.
        budget: to spend.

    Raises:
        ValueError: a score is not finite.

    Source: GoRA (arXiv 2502.12171), ranks in proportion to the share of the importance, within
    bounds; FIM-LoRA (arXiv 2605.16800), the least rank for all first, and what is over the largest
    to the others. A share of LoRA-XS's entries of R, not of ranks, is ours: R costs rank^2.
    """
    import torch

    from lora_sweep.allocation.ranks import capped_ranks

    _check_finite(scores)
    own = scores.double().flatten()
    least = max(_LEAST_SHARE * float(own.max()), sys.float_info.min)
    params, low, high = (
        torch.tensor([number], dtype=torch.float64)
        for number in (budget.params, budget.rank_min, budget.rank_max)
    )
    costs = budget.costs
    logits = own.clamp(min=least).log() - costs.units_on(own).log()
    ranks: list[float] = capped_ranks(logits[None], params, low, high, costs)[0].tolist()
    return ranks


def ranks_by_components(scores: Tensor, budget: RankBudget) -> list[float]:
    """Returns the ranks (N) that the components with the largest scores, over all matrices, give.

    Every matrix has its first rank_min components. The others are taken in the order of their
    scores; one that what is left of the budget can't pay for is passed over. Of equal scores the
    earlier matrix's goes first.

    Args:
        scores: (N, n), n >= rank_max, falling along the components.
        budget: to spend; component m, 0 for the first, costs what rank m + 1 costs more than m.

    Raises:
        ValueError: a score is not finite.

    Source: EVA (arXiv 2410.07170), which counts a component as 1; the price, and that what can't
    be paid for is passed over, are ours.
    """
    _check_finite(scores)
    low, high, costs = budget.rank_min, budget.rank_max, budget.costs
    ranks = [low] * len(scores)
    left = budget.params + _ROUNDING - costs.spent(ranks)
    order = scores[:, low:high].flatten().argsort(descending=True, stable=True)
    for place in order.tolist():
        matrix, rank = divmod(place, high - low)
        price = costs.step(matrix, low + rank)
        if price <= left:
            ranks[matrix] += 1
            left -= price
    return [float(rank) for rank in ranks]


def ranks_that_spend(wanted: Sequence[float], budget: RankBudget) -> list[int]:
    """Returns the whole ranks nearest to those wanted among all that spend the budget exactly.

    They minimise sum_i (rank_i - wanted_i)^2 over rank_min <= rank_i <= rank_max with
    sum unit_i rank_i^p = M_p. Where no ranks spend M_p (it may be no whole number), they spend the
    most that some can.

    Args:
        wanted: real-valued ranks (N), within rank_min ... rank_max.
        budget: to spend.

    Raises:
        ValueError: the budget is not within what rank_min and rank_max in all matrices cost.

    Source: ours.
    """
    low, high, costs = budget.rank_min, budget.rank_max, budget.costs
    params = math.floor(budget.params + _ROUNDING)
    least, most = (costs.spent([rank] * len(wanted)) for rank in (low, high))
    is_within = least <= params and budget.params <= most + _ROUNDING
    require(is_within, "M_p", f"within {least} ... {most} parameters", budget.params)
    params -= (params - least) % math.gcd(*costs.units or (1,))  # no ranks spend what is over
    reach = 2
    while True:
        ranks = _nearest(wanted, budget, params, reach)
        pairs = list(zip(ranks, wanted, strict=True))
        # What plain rounding would be nearer. Ranks with one that is beyond the reach have more
        # of it than reach^2 - 1/4, so the nearest of all are found if these have less.
        excess = sum((rank - real) ** 2 - (round(real) - real) ** 2 for rank, real in pairs)
        is_spent = costs.spent(ranks) == params
        if reach >= high - low or (is_spent and excess <= reach**2 - 0.25):
            return ranks
        reach *= 2


def _nearest(wanted: Sequence[float], budget: RankBudget, params: int, reach: int) -> list[int]:
    """The same among ranks at most `reach` from those wanted: a shortest path.

    Its places are what is spent so far, beyond rank_min for all, counted in the units' largest
    common divisor; a step is a matrix.
    """
    import torch

    low, high, costs = budget.rank_min, budget.rank_max, budget.costs
    common, p = math.gcd(*costs.units or (1,)), costs.power
    spare = (params - costs.spent([low] * len(wanted))) // common
    distance = torch.full((spare + 1,), math.inf, dtype=torch.float64)
    distance[0] = 0.0
    steps = []
    for place, real in enumerate(wanted):
        unit = costs.unit(place) // common
        first, last = max(low, math.ceil(real - reach)), min(high, math.floor(real + reach))
        reached = torch.full((last + 1 - first, spare + 1), math.inf, dtype=torch.float64)
        for rank in range(first, last + 1):
            cost = min(unit * (rank**p - low**p), spare + 1)
            reached[rank - first, cost:] = distance[: spare + 1 - cost] + (rank - real) ** 2
        distance, chosen = reached.min(dim=0)
        steps.append((first, chosen))
    if not distance.isfinite().any():
        return [low] * len(wanted)
    spent = int(distance.isfinite().nonzero().max())
    ranks = []
    for place, (first, chosen) in reversed(list(enumerate(steps))):
        ranks.append(first + int(chosen[spent]))
        spent -= costs.unit(place) // common * (ranks[-1] ** p - low**p)
    return ranks[::-1]


def _check_finite(scores: Tensor) -> None:
    is_finite = bool(scores.isfinite().all())
    require(is_finite, "scores", "finite", "NaN or infinity: are the base's weights whole?")
