import math
from typing import Any

import pytest

from lora_sweep.library.plan import AdapterPlan, run_plan


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rank_min": 0}, "rank_min must be at least 1, but got 0"),
        ({"rank_min": 26}, "rank_min must be at most rank_max=25, but got 26"),
        (
            {"rank_average": 4},
            r"rank_average must be within rank_min=5 ... rank_max=25, but got 4",
        ),
        ({"rank_average": 26}, r"rank_average must be within .*, but got 26"),
        (
            {"rank_average": 20.5, "init": "fixed"},
            r"rank_average must be whole with init=fixed, but got 20\.5",
        ),
        ({"factors": "best"}, r"factors must be one of exact, .*but got 'best'"),
        ({"factors_seed": -1}, "factors_seed must be at least 0, but got -1"),
        ({"budget_start": 4.9}, r"budget_start must be within .*, but got 4.9"),
        ({"budget_end": 25.1}, r"budget_end must be within .*, but got 25.1"),
        ({"init": "bell"}, r"init must be one of uniform, .*, fixed, but got 'bell'"),
        ({"mode": "hard"}, r"mode must be one of capped, .*, but got 'hard'"),
        ({"mode": "importance"}, "mode must be one with logits, but got 'importance'"),
        (
            {"mode_settings": {"every": 3}},
            "every must be null with mode=capped, which has no such setting, but got 3",
        ),
        ({"alpha_schedule": "step"}, r"alpha_schedule must be one of .*, but got 'step'"),
        (
            {"init": "values"},
            r"init_values must be a list of finite numbers, one a matrix, .*, but got None",
        ),
        ({"init": "values", "init_values": (math.nan,)}, r"init_values must be a list of finite"),
        (
            {"init": "values", "init_values": (0.0, 301.0)},
            "init_values must be within 300.0 of one another, .*, but got 301 between two",
        ),
        ({"init": "fisher"}, "init must be one of uniform, .*, fixed, but got 'fisher'"),
        ({"init_values": (1.0,)}, r"init_values must be null with init=uniform, but got \(1"),
        ({"alpha_min": 0.0}, "alpha_min must be above 0 and finite, but got 0"),
        ({"alpha_max": math.inf}, "alpha_max must be above 0 and finite, but got inf"),
        ({"tau": -1.0}, "tau must be at least 0 and finite, but got -1"),
        (
            {"tau": 0.5, "mode": "soft_topk"},
            "tau must be 0 with mode=soft_topk, .*, but got 0.5",
        ),
        ({"budget_move_epochs": -1.0}, "budget_move_epochs must be at least 0"),
        ({"epochs_discrete": -1}, "epochs_discrete must be at least 0, but got -1"),
        ({"seed": -1}, "seed must be at least 0, but got -1"),
        ({"lora_alpha": 0.0}, "lora_alpha must be above 0 and finite, but got 0"),
        ({"adapter_dropout": 1.0}, r"adapter_dropout must be within 0 ... 1 \(1 ex.*, but got 1"),
        ({"mode": "random_square"}, "mode must be one with logits, but got 'random_square'"),
    ],
)
def test_broken_rule_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdapterPlan(**values)


@pytest.mark.parametrize("average", [5, 25])
def test_both_ends_of_the_rank_range_are_budgets(average: int) -> None:
    plan = AdapterPlan(rank_average=average, budget_start=5.0, budget_end=25.0)
    assert plan.rank_average == average


def test_average_may_be_any_number_within_the_range() -> None:
    assert AdapterPlan(rank_average=23.7).allocation.budget_averages == (23.7, 23.7)


def test_budget_is_the_average_unless_said_otherwise() -> None:
    constant = AdapterPlan(rank_average=10).allocation
    grown = AdapterPlan(rank_average=10, budget_start=6.0).allocation
    assert constant.budget_averages == (10, 10)
    assert grown.budget_averages == (6, 10)


@pytest.mark.parametrize(
    "plan", [AdapterPlan(init="fixed"), AdapterPlan(rank_min=7, rank_max=7, rank_average=7)]
)
def test_nothing_is_learnt_without_logits_or_range(plan: AdapterPlan) -> None:
    assert plan.has_fixed_ranks
    assert not run_plan(plan).allocation.has_logits


def test_equal_plans_are_one_key() -> None:
    assert {AdapterPlan(): 1}[AdapterPlan()] == 1
