"""The soft top-k: budget, nesting, range, gradients, and its sharp limit."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lora_sweep.allocation.masks import discrete_masks, square_masks
from lora_sweep.allocation.mode import Terms
from lora_sweep.allocation.soft_topk import topk_ranks, topk_shells

LOGITS = st.lists(st.floats(-12, 12), min_size=1, max_size=6)


def _f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _kept(
    w: Tensor, budget: float, alpha: float, low: int = 2, high: int = 6, r: int = 8
) -> Tensor:
    """How much of every shell of one run is kept (N, r)."""
    terms = Terms(_f64(budget), _f64(alpha), _f64(alpha), _f64(low), _f64(high), r)
    return topk_shells(w[None], _f64(alpha), terms)[0]


@given(LOGITS, st.floats(0, 1), st.floats(0.01, 50))
@settings(max_examples=200)
def test_topk_meets_the_budget_in_range(w: list[float], part: float, alpha: float) -> None:
    budget = len(w) * (4 + part * 32)
    kept = _kept(_f64(*w), budget, alpha)
    # a jump of a sharp sigmoid between two neighbouring floats is the only way to miss it
    assert float(topk_ranks(kept).square().sum()) == pytest.approx(budget, rel=1e-8)
    assert (kept[:, :2] == 1).all() and (kept[:, 6:] == 0).all()
    assert (kept.diff(dim=1) <= 0).all()  # nested: no mask rises outwards
    ranks = topk_ranks(kept)
    assert ranks.min() >= 2 - 1e-9 and ranks.max() <= 6 + 1e-9


def test_topk_by_hand() -> None:
    # shells 1 (3 entries) and 2 (5 entries) of two matrices compete; equal logits, alpha 1: with
    # the threshold at -1.5, p_1 = sigmoid(0.5) and p_2 = sigmoid(-0.5) = 1 - p_1
    p = 1 / (1 + math.exp(-0.5))
    budget = 2 * (1 + 3 * p + 5 * (1 - p))
    kept = _kept(_f64(0, 0), budget, 1.0, low=1, high=3, r=3)
    assert kept[0].tolist() == pytest.approx([1, p, 1 - p])
    assert kept[1].tolist() == kept[0].tolist()


def test_a_logit_is_worth_half_the_rank_range() -> None:
    # ranks 2 to 6: one logit is two shells
    kept = _kept(_f64(0, 1), 40, 0.7)
    odds = torch.logit(kept[:, 2:6])
    assert odds[1, 2].item() == pytest.approx(odds[0, 0].item())
    assert odds[1, 3].item() == pytest.approx(odds[0, 1].item())


def test_uniform_logits_have_the_average_rank() -> None:
    ranks = topk_ranks(_kept(torch.zeros(3, dtype=torch.float64), 3 * 16, 0.5))
    torch.testing.assert_close(ranks, torch.full_like(ranks, 4), rtol=0, atol=1e-9)


def test_large_alpha_gives_the_discrete_mask() -> None:
    # hard top-k of u = (0, 2, -1): shells m below u - theta, here ranks 4, 6 and 3
    kept = _kept(_f64(0, 1, -0.5), 16 + 36 + 9, 200)
    torch.testing.assert_close(
        square_masks(kept[None]).float(),
        discrete_masks(torch.tensor([[4, 6, 3]]), 8),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_gradients_match_finite_differences(alpha: float) -> None:
    w = _f64(1.5, 0.1, -0.4, 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: _kept(w, 4 * 16, alpha), w, atol=1e-6)


def test_gradient_reaches_every_logit_also_at_the_cap() -> None:
    w = _f64(2.5, 0.0, -0.2, -2.0).requires_grad_()
    ranks = topk_ranks(_kept(w, 4 * 16, 3.0))
    assert ranks[0].item() == pytest.approx(6, abs=0.01)
    for i in range(4):
        (gradient,) = torch.autograd.grad(ranks[i], w, retain_graph=True)
        assert (gradient != 0).all() and gradient[i] > 0
        assert float(gradient.sum()) == pytest.approx(0, abs=1e-9)  # a shift changes nothing


@pytest.mark.parametrize("average", [2, 6])
def test_budget_at_the_range_s_ends_is_met(average: int) -> None:
    w = _f64(0.3, -1.0).requires_grad_()
    ranks = topk_ranks(_kept(w, 2 * average**2, 1.0))
    assert ranks.tolist() == pytest.approx([average, average])
    assert torch.isfinite(torch.autograd.grad(ranks.sum(), w)[0]).all()


def test_pack_does_not_mix_runs() -> None:
    w = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alphas = _f64(0.5, 2)
    terms = Terms(_f64(80, 200), alphas, alphas, _f64(2, 3), _f64(6, 8), 8)
    both = topk_shells(w, alphas, terms)
    torch.testing.assert_close(both[0], _kept(w[0], 80, 0.5), rtol=0, atol=1e-9)
