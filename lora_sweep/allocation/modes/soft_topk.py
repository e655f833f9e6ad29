"""One differentiable top-k over the shells of all matrices: soft masks meet the budget too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lora_sweep.allocation.mode import LogitMode, Terms

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SoftTopk(LogitMode, name="soft_topk"):
    """See `allocation.soft_topk`. Source: SOFT (arXiv 2002.06504); masses and scores are ours."""

    takes_costs: ClassVar[bool] = True

    def ranks(self, logits: Tensor, terms: Terms) -> Tensor:
        """Returns real-valued ranks (K, N), at the sharpest alpha: so resting ones rest."""
        from lora_sweep.allocation.soft_topk import topk_ranks, topk_shells

        return topk_ranks(topk_shells(logits, terms.alpha_max, terms), terms.costs)

    def logits(self, ranks: Tensor, terms: Terms) -> Tensor:
        """Returns logits (K, N) that have these ranks at the sharpest alpha, with mean 0."""
        from lora_sweep.allocation.soft_topk import topk_logits

        return topk_logits(ranks, terms.alpha_max, terms)

    @staticmethod
    def kept(logits: Tensor, ranks: Tensor, terms: Terms, noise: Tensor | None) -> Tensor:
        """Returns how much of every shell the soft mask keeps (K, N, r), float32."""
        from lora_sweep.allocation.soft_topk import topk_shells

        return topk_shells(logits, terms.alpha, terms).float()
