"""Scores of the matrices -> ranks that spend a budget: first real-valued, then whole and exact.

There are N matrices; the budget M_p = sum of ranks^2 is counted in entries of R. All ranks lie
within rank_min ... rank_max.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lora_sweep.rules import require

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_SHARE = 1e-12
"""A score below this share of the largest one counts as that much: its logarithm is finite."""
_ROUNDING = 1e-6
"""A budget so little below a whole number is that number."""


@dataclass(frozen=True)
class RankBudget:
    """What may be spent, and on which ranks.

    Attributes:
        params: M_p, in entries of R, within N rank_min^2 ... N rank_max^2.
        rank_min: least rank.
        rank_max: largest rank.
    """

    params: float
    rank_min: int
    rank_max: int


def entries_of_shell(m: int) -> int:
    """Returns what rank m + 1 costs more than rank m: 2 m + 1 entries of R."""
    return 2 * m + 1


def ranks_by_share(scores: Tensor, budget: RankBudget) -> list[float]:
    """Returns real-valued ranks (N) whose part of the budget is in proportion to their scores.

    ranks_i^2 - rank_min^2 = min(rank_max^2 - rank_min^2, level s_i), with the one level at which
    sum ranks^2 = M_p: the ranks that logits log s_i have with `allocation=capped`.

    Args:
        scores: (N, 1), at least 0.
        budget: to spend.

    Raises:
        ValueError: a score is not finite.

    Source: GoRA (arXiv 2502.12171), ranks in proportion to the share of the importance, within
    bounds; FIM-LoRA (arXiv 2605.16800), the least rank for all first, and what is over the largest
    to the others. A share of entries of R, not of ranks, is ours: R costs rank^2.
    """
    import torch

    from lora_sweep.allocation.ranks import capped_ranks

    _check_finite(scores)
    own = scores.double().flatten()
    least = max(_LEAST_SHARE * float(own.max()), sys.float_info.min)
    numbers = (budget.params, budget.rank_min, budget.rank_max)
    terms = (torch.tensor([number], dtype=torch.float64) for number in numbers)
    ranks: list[float] = capped_ranks(own.clamp(min=least).log()[None], *terms)[0].tolist()
    return ranks


def ranks_by_components(
    scores: Tensor, budget: RankBudget, *, price: Callable[[int], int] = entries_of_shell
) -> list[float]:
    """Returns the ranks (N) that the components with the largest scores, over all matrices, give.

    Every matrix has its first rank_min components. The others are taken in the order of their
    scores; one that what is left of the budget can't pay for is passed over. Of equal scores the
    earlier matrix's goes first.

    Args:
        scores: (N, n), n >= rank_max, falling along the components.
        budget: to spend.
        price: of component m, 0 for the first; it never falls. Entries of R by default.

    Raises:
        ValueError: a score is not finite.

    Source: EVA (arXiv 2410.07170), which counts a component as 1; the price, and that what can't
    be paid for is passed over, are ours.
    """
    _check_finite(scores)
    low, high = budget.rank_min, budget.rank_max
    ranks = [low] * len(scores)
    left = budget.params + _ROUNDING - len(ranks) * sum(map(price, range(low)))
    order = scores[:, low:high].flatten().argsort(descending=True, stable=True)
    for place in order.tolist():
        matrix, rank = divmod(place, high - low)
        if price(low + rank) <= left:
            ranks[matrix] += 1
            left -= price(low + rank)
    return [float(rank) for rank in ranks]


def ranks_that_spend(wanted: Sequence[float], budget: RankBudget) -> list[int]:
    """Returns the whole ranks nearest to those wanted among all that spend the budget exactly.

    They minimise sum_i (rank_i - wanted_i)^2 over rank_min <= rank_i <= rank_max with
    sum rank_i^2 = M_p. Where no ranks spend M_p, which is then not N times a square, they spend
    the most that some can. Of equally near ones, the one whose last matrix has the lower rank, and
    so on forwards.

    Args:
        wanted: real-valued ranks (N).
        budget: to spend.

    Raises:
        ValueError: the budget is not within N rank_min^2 ... N rank_max^2.

    Source: ours, a shortest path over (matrices so far, entries spent so far).
    """
    import torch

    low, high, n = budget.rank_min, budget.rank_max, len(wanted)
    spare = math.floor(budget.params + _ROUNDING) - n * low**2
    rule = f"within {n} x {low}^2 ... {n} x {high}^2 entries"
    is_within = spare >= 0 and budget.params <= n * high**2 + _ROUNDING
    require(is_within, "M_p", rule, budget.params)
    distance = torch.full((spare + 1,), math.inf, dtype=torch.float64)  # by what is spent
    distance[0] = 0.0
    choices = []
    for target in wanted:
        best = torch.full_like(distance, math.inf)
        choice = torch.zeros(spare + 1, dtype=torch.int16)
        for rank in range(low, high + 1):
            cost = rank**2 - low**2
            if cost > spare:
                break
            reached = distance[: spare + 1 - cost] + (rank - target) ** 2
            is_nearer = reached < best[cost:]
            best[cost:][is_nearer] = reached[is_nearer]
            choice[cost:][is_nearer] = rank
        distance = best
        choices.append(choice)
    spent = int(distance.isfinite().nonzero().max())
    ranks = []
    for choice in reversed(choices):
        ranks.append(int(choice[spent]))
        spent -= ranks[-1] ** 2 - low**2
    return ranks[::-1]


def _check_finite(scores: Tensor) -> None:
    is_finite = bool(scores.isfinite().all())
    require(is_finite, "scores", "finite", "NaN or infinity: are the base's weights whole?")
