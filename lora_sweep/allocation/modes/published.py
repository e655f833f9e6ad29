"""The published formula: a rank above rank_max wastes what is over, rounding is to the nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lora_sweep.allocation.costs import RankBudget
from lora_sweep.allocation.mode import LogitMode, Terms

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Published(LogitMode, name="published"):
    """See `allocation.ranks.published_ranks`. Source: the published study."""

    has_noise: ClassVar[bool] = True

    def ranks(self, logits: Tensor, terms: Terms) -> Tensor:
        """Returns real-valued ranks (K, N), which may exceed rank_max."""
        from lora_sweep.allocation.ranks import published_ranks

        return published_ranks(logits, terms.budget_params, terms.rank_min)

    def rounded(self, ranks: list[float], budget: RankBudget) -> list[int]:
        """Returns the nearest integers (N), whatever they spend."""
        from lora_sweep.allocation.ranks import nearest_integer_ranks

        return nearest_integer_ranks(ranks, budget.rank_max)
