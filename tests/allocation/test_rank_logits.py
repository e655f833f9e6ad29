import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.allocation.costs import RankBudget
from lora_sweep.allocation.mode import LogitMode, Terms, make_mode
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.allocation.rank_logits import logits_of_ranks

LEARNT = ("capped", "published", "soft_topk")


def _plan(mode: str, low: int, high: int, average: float) -> AllocationPlan:
    return AllocationPlan(
        rank_min=low,
        rank_max=high,
        rank_average=average,
        init="fisher",
        mode=make_mode(mode, {"tau": 0.0}),
        alpha_min=0.5,
        alpha_max=3.0,
        alpha_schedule="linear",
    )


def _ranks_at(logits: tuple[float, ...], plan: AllocationPlan) -> list[float]:
    """Real-valued ranks that a training would have at these logits, which it keeps in float32."""

    def one(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float64)

    terms = Terms(
        one(len(logits) * plan.rank_average**2),
        *(one(plan.alpha_max), one(plan.alpha_max), one(plan.rank_min), one(plan.rank_max)),
        r=plan.rank_max,
    )
    assert isinstance(plan.mode, LogitMode)
    w = torch.tensor([logits], dtype=torch.float32).double()
    ranks: list[float] = plan.mode.ranks(w, terms)[0].tolist()
    return ranks


@pytest.mark.parametrize("mode", LEARNT)
@given(whole=st.lists(st.integers(2, 9), min_size=2, max_size=24))
def test_training_starts_at_the_whole_ranks(mode: str, whole: list[int]) -> None:
    params = sum(rank**2 for rank in whole)
    plan = _plan(mode, 2, 9, math.sqrt(params / len(whole)))
    logits = logits_of_ranks(whole, plan)
    real = _ranks_at(logits, plan)
    assert real == pytest.approx(whole, abs=0.25 + 1e-4)
    assert isinstance(plan.mode, LogitMode)
    assert plan.mode.rounded(real, RankBudget(params, 2, 9)) == whole


@pytest.mark.parametrize("mode", LEARNT)
def test_every_logit_gets_a_gradient(mode: str) -> None:
    plan = _plan(mode, 2, 9, math.sqrt((4 + 4 + 81 + 36) / 4))
    logits = torch.tensor([logits_of_ranks([2, 2, 9, 6], plan)], dtype=torch.float64)
    assert isinstance(plan.mode, LogitMode)
    one = [torch.tensor([value], dtype=torch.float64) for value in (125, 3.0, 3.0, 2, 9)]
    logits.requires_grad_()
    ranks = plan.mode.ranks(logits, Terms(*one, r=9))[0]
    for i in range(4):
        (gradient,) = torch.autograd.grad(ranks[i], logits, retain_graph=True)
        # beyond rank_min by 1/4: a logit more is 1/4 rank or so
        assert gradient[0, i] > 0.01


@pytest.mark.parametrize("average", [2, 9])
def test_budget_without_a_choice_starts_at_zeros(average: int) -> None:
    assert logits_of_ranks([average] * 3, _plan("capped", 2, 9, average)) == (0.0, 0.0, 0.0)


def test_moving_budget_starts_at_the_logits_of_its_end() -> None:
    still = _plan("capped", 2, 9, 5)
    moving = dataclasses.replace(still, rank_average=4, budget_start=2.0, budget_end=5.0)
    assert logits_of_ranks([7, 5, 1 + 1, 3, 4, 6], moving) == logits_of_ranks(
        [7, 5, 2, 3, 4, 6], still
    )
