"""Ranks that cost what matrices of several shapes ask: unit_i rank^p, by hand and by slow ways."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lora_sweep.allocation.apportioning import (
    ranks_by_components,
    ranks_by_share,
    ranks_that_spend,
)
from lora_sweep.allocation.costs import SQUARES, RankBudget, RankCosts
from lora_sweep.allocation.importance import cut_ranks
from lora_sweep.allocation.mode import LogitMode, Terms, make_mode
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.allocation.rank_logits import logits_of_ranks
from lora_sweep.allocation.ranks import (
    budget_over_cap,
    capped_ranks,
    integer_ranks_within_budget,
)
from lora_sweep.allocation.soft_topk import topk_ranks, topk_shells

# Matrices 2 x 2 and 2 x 8: a rank of LoRA costs 4 and 10.
PAIR = RankCosts(1, (4, 10))
LOW, HIGH = 2, 6


def _f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[float], RankCosts, float]:
    """Logits, costs, and a budget between those of the least and the largest rank."""
    w = draw(st.lists(st.floats(-6, 6), min_size=1, max_size=6))
    units = draw(st.lists(st.integers(1, 12), min_size=len(w), max_size=len(w)))
    costs = RankCosts(draw(st.sampled_from([1, 2])), tuple(units))
    least, most = (costs.budget(rank, len(w)) for rank in (LOW, HIGH))
    return w, costs, least + draw(st.floats(0, 1)) * (most - least)


def _capped(w: list[float], costs: RankCosts, budget: float) -> list[float]:
    own = (_f64(budget), _f64(LOW), _f64(HIGH))
    values: list[float] = capped_ranks(_f64(*w)[None], *own, costs=costs)[0].tolist()
    return values


def _cost(ranks: list[float], costs: RankCosts) -> float:
    return sum(costs.unit(place) * rank**costs.power for place, rank in enumerate(ranks))


def _terms(costs: RankCosts, budget: float, alpha: float = 3.0) -> Terms:
    own = (_f64(budget), _f64(alpha), _f64(alpha), _f64(LOW), _f64(HIGH))
    return Terms(*own, r=8, costs=costs)


def test_costs_by_hand() -> None:
    assert PAIR.budget(3, 2) == 42 == PAIR.spent([3, 3])
    assert PAIR.spent([8, 1]) == 42
    assert (PAIR.step(0, 5), PAIR.step(1, 5)) == (4, 10)
    assert SQUARES.budget(3, 2) == 18 == SQUARES.spent([3, 3])
    assert (SQUARES.step(0, 5), SQUARES.step(1, 0)) == (11, 1)


@pytest.mark.parametrize(
    ("power", "units", "message"),
    [(3, None, "power must be 1 or 2, but got 3"), (1, (4, 0), "units must be at least 1, .* 0")],
)
def test_wrong_costs_are_refused(power: int, units: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RankCosts(power, units)


def test_matrices_of_other_shapes_meet_the_budget_by_hand() -> None:
    # 42 parameters, 28 of them for rank 2 in both; exp(w) = 3 to 1, so that the level l spends
    # 4 * 3 l + 10 l = 14: l = 7/11, ranks 2 + 21/11 and 2 + 7/11
    ranks = _capped([math.log(3), 0.0], PAIR, 42)
    assert ranks == pytest.approx([2 + 21 / 11, 2 + 7 / 11], rel=1e-12)
    # rounded down they cost 3 * 4 + 2 * 10; the 10 left are a step of the second matrix
    assert integer_ranks_within_budget(ranks, RankBudget(42, 2, 6, PAIR)) == [3, 3]


def test_what_is_over_the_cap_goes_to_the_others_by_hand() -> None:
    # exp(w) = 99 to 1 would be ranks beyond 6; at 6 the first costs 24, and 18 are left of 42
    assert _capped([math.log(99), 0.0], RankCosts(1, (4, 6)), 42) == pytest.approx([6, 3])


@given(_cases())
@settings(max_examples=200)
def test_capped_ranks_are_those_of_a_slow_water_filling(
    case: tuple[list[float], RankCosts, float],
) -> None:
    w, costs, budget = case
    p, largest = costs.power, max(w)

    def ranks_at(level: float) -> list[float]:
        above = [min(HIGH**p - LOW**p, level * math.exp(value - largest)) for value in w]
        return [(LOW**p + one) ** (1 / p) for one in above]

    low, high = 0.0, 1e9
    for _ in range(200):
        level = (low + high) / 2
        is_under = _cost(ranks_at(level), costs) < budget
        low, high = (level, high) if is_under else (low, level)
    found = _capped(w, costs, budget)
    assert found == pytest.approx(ranks_at(high), abs=1e-5)
    assert _cost(found, costs) == pytest.approx(budget, rel=1e-9)
    assert all(LOW - 1e-9 <= rank <= HIGH + 1e-9 for rank in found)


@given(_cases(), st.floats(0, 3), st.integers(0, 5))
def test_a_larger_logit_is_no_smaller_rank(
    case: tuple[list[float], RankCosts, float], more: float, place: int
) -> None:
    w, costs, budget = case
    place %= len(w)
    raised = [value + more * (i == place) for i, value in enumerate(w)]
    before, after = _capped(w, costs, budget), _capped(raised, costs, budget)
    assert after[place] >= before[place] - 1e-9
    others = [pair for i, pair in enumerate(zip(before, after, strict=True)) if i != place]
    assert all(b <= a + 1e-9 for a, b in others)
    # within one run, too: of two logits the larger has no smaller rank, whatever the units
    pairs = sorted(zip(w, before, strict=True))
    assert all(a <= b + 1e-9 for (_, a), (_, b) in itertools.pairwise(pairs))


@given(_cases())
def test_whole_ranks_are_the_best_rounding_within_the_budget(
    case: tuple[list[float], RankCosts, float],
) -> None:
    w, costs, budget = case
    real = [min(rank, float(HIGH)) for rank in _capped(w, costs, budget)]
    found = integer_ranks_within_budget(real, RankBudget(budget, LOW, HIGH, costs))
    choices = itertools.product(*[{max(math.floor(r), LOW), math.ceil(r)} for r in real])
    allowed = [own for own in map(costs.spent, choices) if own <= budget + 1e-6]
    assert costs.spent(found) == max(allowed)
    assert all(LOW <= rank <= HIGH for rank in found)


@pytest.mark.parametrize("mode", ["capped", "soft_topk"])
def test_equal_logits_are_the_average_whatever_a_rank_costs(mode: str) -> None:
    own = make_mode(mode, {})
    assert isinstance(own, LogitMode)
    costs = RankCosts(1, (4, 10, 7))
    ranks = own.ranks(torch.zeros(1, 3, dtype=torch.float64), _terms(costs, 3.5 * 21))
    torch.testing.assert_close(ranks, torch.full_like(ranks, 3.5), rtol=0, atol=1e-9)


@given(_cases(), st.floats(0.1, 20))
def test_topk_meets_the_budget(case: tuple[list[float], RankCosts, float], alpha: float) -> None:
    w, costs, budget = case
    kept = topk_shells(_f64(*w)[None], _f64(alpha), _terms(costs, budget))
    ranks = topk_ranks(kept, costs)[0].tolist()
    assert _cost(ranks, costs) == pytest.approx(budget, rel=1e-7)
    assert all(LOW - 1e-9 <= rank <= HIGH + 1e-9 for rank in ranks)


@pytest.mark.parametrize("mode", ["capped", "soft_topk"])
def test_gradients_match_finite_differences(mode: str) -> None:
    own = make_mode(mode, {})
    assert isinstance(own, LogitMode)
    w = _f64(2.5, 0.1, -0.4, 0.3)[None].requires_grad_()
    terms = _terms(RankCosts(1, (4, 10, 7, 7)), 4.0 * 28, alpha=1.0)
    assert torch.autograd.gradcheck(lambda w: own.ranks(w, terms), w, atol=1e-6)


def test_budget_over_the_cap_by_hand() -> None:
    over = budget_over_cap(_f64(7.5, 6.5)[None], _f64(6), PAIR)
    assert over.tolist() == [1.5 * 4 + 0.5 * 10]


def test_a_cut_pays_back_what_the_matrix_costs() -> None:
    scores = [[9.0, 9.0, 5.0], [9.0, 8.0, 4.0]]
    # 42 are spent; the last component of the second matrix goes for 10, then that of the first
    assert cut_ranks([3, 3], scores, 32, rank_min=1, costs=PAIR) == [3, 2]
    assert cut_ranks([3, 3], scores, 31, rank_min=1, costs=PAIR) == [2, 2]


@given(st.lists(st.floats(0, 1), min_size=18, max_size=18), st.floats(0, 1))
def test_cuts_hold_the_budget(values: list[float], part: float) -> None:
    costs = RankCosts(1, (4, 10, 7))
    budget = 21 * (LOW + part * (HIGH - LOW))
    scores = [values[:6], values[6:12], values[12:]]
    ranks = cut_ranks([HIGH] * 3, scores, budget, rank_min=LOW, costs=costs)
    spent = costs.spent(ranks)
    assert spent <= budget + 1e-6 and all(LOW <= rank <= HIGH for rank in ranks)
    assert all(
        rank == HIGH or spent + costs.unit(i) > int(budget + 1e-6) for i, rank in enumerate(ranks)
    )


def test_share_of_a_score_is_one_of_parameters() -> None:
    # 14 for rank 1 in both, 40 above it: 1/5 and 4/5 are 8 and 32, ranks 1 + 2 and 1 + 3.2
    ranks = ranks_by_share(_f64(1, 4)[:, None], RankBudget(54, 1, 9, PAIR))
    assert ranks == pytest.approx([3, 4.2], rel=1e-12)


def test_components_cost_what_their_matrix_does() -> None:
    scores = torch.tensor([[0.5, 0.4, 0.1], [0.9, 0.35, 0.3]])
    # 14 for rank 1 in both; then 0.4 for 4, 0.35 for 10; 0.3 has no room in 5, 0.1 has
    assert ranks_by_components(scores, RankBudget(33, 1, 3, PAIR)) == [3, 2]


@given(st.lists(st.floats(LOW, HIGH), min_size=3, max_size=3), st.integers(42, 126))
def test_whole_ranks_that_spend_are_the_nearest(wanted: list[float], params: int) -> None:
    costs = RankCosts(1, (4, 10, 7))
    every = list(itertools.product(range(LOW, HIGH + 1), repeat=3))
    spent = max(costs.spent(ranks) for ranks in every if costs.spent(ranks) <= params)
    found = ranks_that_spend(wanted, RankBudget(params, LOW, HIGH, costs))
    distances = {
        ranks: sum((rank - real) ** 2 for rank, real in zip(ranks, wanted, strict=True))
        for ranks in every
        if costs.spent(ranks) == spent
    }
    assert distances[tuple(found)] == pytest.approx(min(distances.values()), abs=1e-9)


def test_units_are_counted_in_their_common_part() -> None:
    # as 2 and 5 over 384: what is over the last multiple of 384 no ranks spend
    large = RankCosts(1, (768, 1920))
    assert ranks_that_spend([3.2, 2.9], RankBudget(42 * 192 + 100, 2, 6, large)) == [3, 3]


@pytest.mark.parametrize("mode", ["capped", "soft_topk"])
@given(whole=st.lists(st.integers(2, 9), min_size=2, max_size=12))
def test_training_starts_at_the_whole_ranks(mode: str, whole: list[int]) -> None:
    costs = RankCosts(1, tuple(4 + 6 * (place % 2) for place in range(len(whole))))
    params = costs.spent(whole)
    plan = AllocationPlan(
        rank_min=2,
        rank_max=9,
        rank_average=params / sum(costs.units or ()),
        init="gora",
        mode=make_mode(mode, {}),
        alpha_min=0.5,
        alpha_max=3.0,
        alpha_schedule="linear",
    )
    assert isinstance(plan.mode, LogitMode)
    logits = torch.tensor([logits_of_ranks(whole, plan, costs)], dtype=torch.float32).double()
    own = (_f64(params), _f64(3.0), _f64(3.0), _f64(2), _f64(9))
    real = plan.mode.ranks(logits, Terms(*own, r=9, costs=costs))[0].tolist()
    assert real == pytest.approx(whole, abs=0.25 + 1e-4)
    assert plan.mode.rounded(real, RankBudget(params, 2, 9, costs)) == whole
