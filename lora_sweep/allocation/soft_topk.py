"""One differentiable top-k over the shells of all matrices, with the budget met exactly.

Shell m of matrix i holds the 2 m + 1 entries of R whose larger index is m: what rank m + 1 has
more than rank m. The shells below rank_min are always kept; the others, m = rank_min ...
rank_max - 1, compete over all matrices by their score:

    s_im = w_i (rank_max - rank_min) / 2 - m
    p_im = sigmoid(alpha (s_im - theta)),   theta: sum_i sum_m (2 m + 1) p_im = M_p - N rank_min^2
    ranks_i = sqrt(rank_min^2 + sum_m (2 m + 1) p_im)

So one logit is worth half the rank range, scores fall by 1 a shell (a mask never rises outwards),
and alpha is a sharpness in ranks. The one threshold theta makes sum ranks^2 = M_p, whatever the
logits; it is differentiated through the equation that defines it.

With other costs, unit_i rank^p (`allocation.costs`), a shell has unit_i ((m+1)^p - m^p) parameters
in place of the 2 m + 1 entries; the scores stay, so equal logits are equal ranks there too.

Source: top-k by entropy-regularised optimal transport (SOFT, arXiv 2002.06504, section 3). With
the two targets «kept» and «dropped» its plan is a logistic function of score minus threshold. That
each item has a mass of its own, the shell's entries, and the scores are ours.
"""

import torch
from torch import Tensor

from lora_sweep.allocation.costs import SQUARES, RankCosts
from lora_sweep.allocation.mode import Terms

_N_BISECTIONS = 64
"""Enough to halve a bracket of some hundreds down to the last digits of float64."""
_FLAT = 1e-100
"""A slope below this is none: no threshold nearby changes what is kept."""


def topk_shells(logits: Tensor, alpha: Tensor, terms: Terms) -> Tensor:
    """Returns how much every shell is kept (K, N, r), differentiable in the logits.

    Args:
        logits: allocation logits w (K, N), float64.
        alpha: sharpness (K,), above 0; that of the terms is not looked at.
        terms: of the runs.

    Returns:
        1 below rank_min, 0 from rank_max on, and falling in between.
    """
    costs, units = terms.costs, terms.costs.units_on(logits)  # (N,)
    m = torch.arange(terms.r, dtype=logits.dtype, device=logits.device)  # (r,)
    low, high = terms.rank_min[:, None, None], terms.rank_max[:, None, None]  # (K, 1, 1)
    competes = (m >= low) & (m < high)  # (K, 1, r)
    cost = torch.where(competes, units[:, None] * costs.shells(m), 0.0)  # (K, N, r)
    # Scores times alpha from here on, so the threshold is alpha theta.
    scores = alpha[:, None, None] * (logits[..., None] * (high - low) / 2 - m)  # (K, N, r)
    spare = terms.budget_params - units.sum() * terms.rank_min**costs.power  # (K,)
    threshold = _threshold(scores, cost, spare)
    kept = torch.sigmoid(scores - threshold[:, None, None])
    return torch.where(competes, kept, (m < low).to(kept.dtype))


def topk_ranks(kept: Tensor, costs: RankCosts = SQUARES) -> Tensor:
    """Returns real-valued ranks (K, N): of LoRA-XS, roots of the entries that are kept.

    Args:
        kept: as from `topk_shells` (K, N, r).
        costs: of the ranks.
    """
    m = torch.arange(kept.shape[-1], dtype=kept.dtype, device=kept.device)  # (r,)
    return costs.roots((kept * costs.shells(m)).sum(dim=-1))


def topk_logits(ranks: Tensor, alpha: Tensor, terms: Terms) -> Tensor:
    """Returns logits (K, N) that have these ranks, with mean 0: the inverse of `topk_ranks`.

    With the threshold at 0 a matrix's rank rises with its own logit alone, so each is found by
    bisection; a common change of all logits moves the threshold and no rank.

    Args:
        ranks: real-valued ranks (K, N), between rank_min and rank_max, that spend the budget.
        alpha: sharpness (K,), above 0; that of the terms is not looked at.
        terms: of the runs.
    """
    costs, p = terms.costs, terms.costs.power
    m = torch.arange(terms.r, dtype=ranks.dtype, device=ranks.device)  # (r,)
    low, high = terms.rank_min[:, None, None], terms.rank_max[:, None, None]  # (K, 1, 1)
    cost = torch.where((m >= low) & (m < high), costs.shells(m), 0.0)  # (K, 1, r), in units
    wanted = ranks**p - terms.rank_min[:, None] ** p  # (K, N)
    sharpness = alpha[:, None]
    below = torch.zeros_like(ranks) - 40 / sharpness
    above = torch.zeros_like(ranks) + terms.r + 40 / sharpness
    for _ in range(_N_BISECTIONS):
        middle = (below + above) / 2  # of w_i (rank_max - rank_min) / 2
        kept = torch.sigmoid(sharpness[..., None] * (middle[..., None] - m))  # (K, N, r)
        is_too_low = (cost * kept).sum(dim=2) < wanted
        below = torch.where(is_too_low, middle, below)
        above = torch.where(is_too_low, above, middle)
    logits = (below + above) / (terms.rank_max - terms.rank_min)[:, None]
    return logits - logits.mean(dim=1, keepdim=True)


def _threshold(scores: Tensor, cost: Tensor, spare: Tensor) -> Tensor:
    """The thresholds (K,) that spend the budgets, differentiable in the scores.

    Found without gradient by bisection. The gradient is that of the implicit function: of one
    step of Newton's method from there.
    """
    with torch.no_grad():
        found = _bisected(scores, cost, spare)
        kept = torch.sigmoid(scores - found[:, None, None])
        slope = (cost * kept * (1 - kept)).sum(dim=(1, 2))  # of what is spent, downwards
    step = (_spent(scores, cost, found) - spare) / slope.clamp(min=_FLAT)
    return found + torch.where(slope > _FLAT, step - step.detach(), 0.0)


def _bisected(scores: Tensor, cost: Tensor, spare: Tensor) -> Tensor:
    """The thresholds (K,), to the last digits."""
    # 40 beyond any score the sigmoid is 0 or 1 to float64.
    low = scores.amin(dim=(1, 2)) - 40
    high = scores.amax(dim=(1, 2)) + 40
    for _ in range(_N_BISECTIONS):
        middle = (low + high) / 2
        is_too_low = _spent(scores, cost, middle) > spare
        low = torch.where(is_too_low, middle, low)
        high = torch.where(is_too_low, high, middle)
    return (low + high) / 2


def _spent(scores: Tensor, cost: Tensor, threshold: Tensor) -> Tensor:
    """Parameters (K,) that a threshold keeps."""
    return (cost * torch.sigmoid(scores - threshold[:, None, None])).sum(dim=(1, 2))
