"""What is over rank_max goes to the other matrices: the budget is spent, and spent exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lora_sweep.allocation.mode import LogitMode, Terms

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Capped(LogitMode, name="capped"):
    """See `allocation.ranks.capped_ranks`. Source: ours."""

    has_noise: ClassVar[bool] = True
    takes_costs: ClassVar[bool] = True

    def ranks(self, logits: Tensor, terms: Terms) -> Tensor:
        """Returns real-valued ranks (K, N) within rank_min ... rank_max."""
        from lora_sweep.allocation.ranks import capped_ranks

        return capped_ranks(
            logits, terms.budget_params, terms.rank_min, terms.rank_max, terms.costs
        )
