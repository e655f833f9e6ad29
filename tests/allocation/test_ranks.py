import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lora_sweep.allocation.costs import RankBudget
from lora_sweep.allocation.ranks import (
    budget_over_cap,
    capped_ranks,
    integer_ranks_within_budget,
    nearest_integer_ranks,
    published_ranks,
)

LOGITS = st.lists(st.floats(-12, 12), min_size=1, max_size=8)


def _f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _published(w: list[float], budget: float, rank_min: float) -> list[float]:
    """The formula, matrix by matrix."""
    total = sum(math.exp(value) for value in w)
    spare = budget - len(w) * rank_min**2
    return [math.sqrt(rank_min**2 + spare * math.exp(value) / total) for value in w]


def _water_filled(w: list[float], budget: float, rank_min: float, rank_max: float) -> list[float]:
    """The level at which min(cap, level softmax) spends the budget, by bisection."""
    share = [math.exp(value - max(w)) for value in w]
    spare, cap = budget - len(w) * rank_min**2, rank_max**2 - rank_min**2
    low, high = 0.0, 1e12
    for _ in range(300):
        level = (low + high) / 2
        spent = sum(min(cap, level * value) for value in share)
        low, high = (level, high) if spent < spare else (low, level)
    return [math.sqrt(rank_min**2 + min(cap, high * value)) for value in share]


def _capped(w: list[float], budget: float, rank_min: float, rank_max: float) -> list[float]:
    ranks = capped_ranks(_f64(*w)[None], _f64(budget), _f64(rank_min), _f64(rank_max))
    values: list[float] = ranks[0].tolist()
    return values


@given(LOGITS, st.floats(0, 1))
def test_published_ranks_follow_the_formula(w: list[float], part: float) -> None:
    budget = len(w) * (25 + part * 600)
    ranks = published_ranks(_f64(*w)[None], _f64(budget), _f64(5))[0].tolist()
    assert ranks == pytest.approx(_published(w, budget, 5), rel=1e-9)


@pytest.mark.parametrize("capped", [True, False])
def test_uniform_logits_start_at_the_average(capped: bool) -> None:
    w, budget = torch.zeros(1, 24, dtype=torch.float64), _f64(24 * 400)
    if capped:
        ranks = capped_ranks(w, budget, _f64(5), _f64(25))
    else:
        ranks = published_ranks(w, budget, _f64(5))
    torch.testing.assert_close(ranks, torch.full_like(ranks, 20), rtol=0, atol=1e-12)


@given(LOGITS, st.floats(0, 1))
@settings(max_examples=200)
def test_capped_ranks_spend_the_budget_in_range(w: list[float], part: float) -> None:
    budget = len(w) * (4 + part * 32)
    ranks = _capped(w, budget, 2, 6)
    assert sum(rank**2 for rank in ranks) == pytest.approx(budget, rel=1e-9)
    assert all(2 - 1e-9 <= rank <= 6 + 1e-9 for rank in ranks)
    assert ranks == pytest.approx(_water_filled(w, budget, 2, 6), abs=1e-5)


def test_capped_ranks_are_the_published_below_the_cap() -> None:
    w = [0.3, -0.2, 0.1]
    assert _capped(w, 3 * 100, 5, 25) == pytest.approx(_published(w, 300, 5), rel=1e-12)


def test_capped_gradients_match_finite_differences() -> None:
    w = torch.tensor([[2.0, 0.1, -0.4, 0.3]], dtype=torch.float64, requires_grad=True)

    def ranks(logits: Tensor) -> Tensor:
        return capped_ranks(logits, _f64(4 * 16), _f64(2), _f64(6))

    assert ranks(w).max() == 6  # one matrix is at the cap
    assert torch.autograd.gradcheck(ranks, w, atol=1e-6)


def test_pack_ranks_do_not_mix_runs() -> None:
    w = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = capped_ranks(w, _f64(125, 320), _f64(2, 3), _f64(6, 9))
    first = capped_ranks(w[:1], _f64(125), _f64(2), _f64(6))
    torch.testing.assert_close(both[:1], first, rtol=0, atol=0)


@given(LOGITS, st.floats(0, 1))
@settings(max_examples=200)
def test_integer_ranks_are_the_best_rounding(w: list[float], part: float) -> None:
    budget = len(w) * (4 + part * 32)
    ranks = [min(rank, 6.0) for rank in _capped(w, budget, 2, 6)]
    chosen = integer_ranks_within_budget(ranks, RankBudget(budget, 2, 6))
    roundings = itertools.product(*[{math.floor(r), math.ceil(r)} for r in ranks])
    spent = [sum(r * r for r in rounding) for rounding in roundings]
    allowed = [total for total in spent if total <= budget + 1e-6]
    assert sum(r * r for r in chosen) == max(allowed)
    assert all(abs(r - real) < 1 for r, real in zip(chosen, ranks, strict=True))


def test_integer_ranks_prefer_the_largest_fraction() -> None:
    # room for one step from 4 to 5 (9 entries): the rank nearest to 5 takes it
    chosen = integer_ranks_within_budget([4.3, 4.6, 4.4], RankBudget(57.5, 1, 9))
    assert chosen == [4, 5, 4]


def test_nearest_rounding_takes_halves_to_even() -> None:
    assert nearest_integer_ranks([4.5, 5.5, 6.4, 31.2], rank_max=25) == [4, 6, 6, 25]


def test_budget_over_cap_by_hand() -> None:
    ranks = torch.tensor([[3.0, 5.0], [4.0, 1.0]])
    assert budget_over_cap(ranks, torch.tensor([4.0, 4.0])).tolist() == [9.0, 0.0]
