"""The ways to turn allocation logits into ranks and masks: one entry a mode.

A mode says three things: the real-valued ranks of given logits, how much of every shell of R its
soft mask keeps, and how ranks are rounded for the discrete mask. `importance` is none of these:
it has no logits (see `importance.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lora_sweep.allocation.masks import kept_shells
from lora_sweep.allocation.ranks import (
    capped_ranks,
    integer_ranks_within_budget,
    nearest_integer_ranks,
    published_ranks,
)
from lora_sweep.allocation.soft_topk import topk_ranks, topk_shells


@dataclass(frozen=True)
class Terms:
    """What K runs turn their logits into ranks under, at one step; all (K,), float64.

    Attributes:
        budget_params: M_p, in entries of R.
        alpha: sharpness of the soft mask.
        alpha_max: the largest alpha that the run will have.
        rank_min: least rank.
        rank_max: largest rank.
        r: stored size of R, at least every rank_max.
    """

    budget_params: Tensor
    alpha: Tensor
    alpha_max: Tensor
    rank_min: Tensor
    rank_max: Tensor
    r: int


KeptShells = Callable[[Tensor, Tensor, Terms, Tensor | None], Tensor]


@dataclass(frozen=True)
class LogitMode:
    """One way to allocate by logits.

    Attributes:
        ranks: logits (K, N), float64, and terms -> real-valued ranks (K, N), differentiable.
        kept: logits, their ranks, terms and noise (K, N, r) or None -> how much of every shell
            the soft mask keeps (K, N, r), float32, differentiable. Modes that share this function
            are computed together.
        rounded: a run's ranks (N), M_p, rank_min and rank_max -> integer ranks (N).
    """

    ranks: Callable[[Tensor, Terms], Tensor]
    kept: KeptShells
    rounded: Callable[[list[float], float, int, int], list[int]]


def _published(logits: Tensor, terms: Terms) -> Tensor:
    return published_ranks(logits, terms.budget_params, terms.rank_min)


def _capped(logits: Tensor, terms: Terms) -> Tensor:
    return capped_ranks(logits, terms.budget_params, terms.rank_min, terms.rank_max)


def _topk(logits: Tensor, terms: Terms) -> Tensor:
    """At the sharpest alpha, so that resting logits have resting ranks."""
    return topk_ranks(_topk_shells(logits, terms, terms.alpha_max))


def _kept_by_rank(logits: Tensor, ranks: Tensor, terms: Terms, noise: Tensor | None) -> Tensor:
    return kept_shells(
        ranks.float(),
        terms.alpha.float(),
        rank_min=terms.rank_min,
        rank_max=terms.rank_max,
        r=terms.r,
        noise=noise,
    )


def _kept_by_topk(logits: Tensor, ranks: Tensor, terms: Terms, noise: Tensor | None) -> Tensor:
    return _topk_shells(logits, terms, terms.alpha).float()


def _topk_shells(logits: Tensor, terms: Terms, alpha: Tensor) -> Tensor:
    return topk_shells(
        logits,
        terms.budget_params,
        alpha,
        rank_min=terms.rank_min,
        rank_max=terms.rank_max,
        r=terms.r,
    )


def _nearest(ranks: list[float], budget_params: float, rank_min: int, rank_max: int) -> list[int]:
    return nearest_integer_ranks(ranks, rank_max)


def _within_budget(
    ranks: list[float], budget_params: float, rank_min: int, rank_max: int
) -> list[int]:
    return integer_ranks_within_budget(ranks, budget_params, rank_min=rank_min, rank_max=rank_max)


LOGIT_MODES: dict[str, LogitMode] = {
    "published": LogitMode(_published, _kept_by_rank, _nearest),
    "capped": LogitMode(_capped, _kept_by_rank, _within_budget),
    "soft_topk": LogitMode(_topk, _kept_by_topk, _within_budget),
}
