"""Settings -> plans: every number goes where it belongs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lora_sweep.allocation.modes.importance import Importance
from lora_sweep.allocation.modes.published import Published
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError
from lora_sweep.execution.plans import find_device, pack_plan, run_plan
from lora_sweep.training.plan import PackPlan, RunPlan

Changed = Callable[[dict[str, Any]], RunConfig]

SETTINGS = {
    "init.name": "randn",
    "rank.min": 3,
    "rank.max": 13,
    "rank.average": 7,
    "alpha.min": 0.25,
    "alpha.max": 4.0,
    "alpha.schedule": "cosine",
    "budget.schedule": "ramp",
    "budget.start_average": 5.0,
    "budget.end_average": 6.0,
    "budget.hold_epochs": 0.5,
    "budget.move_epochs": 1.5,
    "allocation.mode": "published",
    "allocation.tau": 0.125,
    "learning_rate.adapter": 0.01,
    "learning_rate.head": 0.02,
    "learning_rate.schedule": "constant",
    "learning_rate.warmup_fraction": 0.1,
    "training.epochs": 9,
    "training.epochs_discrete": 2,
    "training.batch_size": 11,
    "training.evaluation_batch_size": 12,
    "training.weight_decay": 0.3,
    "training.max_gradient_norm": 0.4,
    "training.log_every": 14,
    "lr": 0.03,
    "device": "cpu",
}
BY_IMPORTANCE = {
    "allocation.mode": "importance",
    "allocation.warmup_fraction": 0.2,
    "allocation.final_fraction": 0.3,
    "allocation.every": 7,
    "allocation.beta1": 0.8,
    "allocation.beta2": 0.9,
}


def test_run_plan_has_every_number(changed: Changed) -> None:
    assert run_plan(changed(SETTINGS), 5) == RunPlan(
        seed=5,
        allocation=AllocationPlan(
            rank_min=3,
            rank_max=13,
            rank_average=7,
            init="randn",
            mode=Published(tau=0.125),
            alpha_schedule="cosine",
            alpha_min=0.25,
            alpha_max=4.0,
            budget_start=5.0,
            budget_end=6.0,
            budget_hold_epochs=0.5,
            budget_move_epochs=1.5,
            epochs_discrete=2,
        ),
        lr_logits=0.03,
        lr_adapter=0.01,
        lr_head=0.02,
        lr_schedule="constant",
        warmup_fraction=0.1,
        weight_decay=0.3,
        max_gradient_norm=0.4,
    )


def test_pack_plan_has_every_number(changed: Changed) -> None:
    assert pack_plan(changed(SETTINGS)) == PackPlan(
        n_epochs=9,
        batch_size=11,
        evaluation_batch_size=12,
        log_every=14,
        log_ranks_epochs=2,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize(
    "settings",
    [{"init.name": "fixed"}, {"rank.min": 7, "rank.max": 7, "rank.average": 7}],
    ids=["init", "range"],
)
def test_fixed_ranks_are_not_allocated(settings: dict[str, Any], changed: Changed) -> None:
    assert run_plan(changed(settings), 0).allocation.has_fixed_ranks


@pytest.mark.parametrize("mode", ["capped", "soft_topk"])
def test_mode_is_passed_on(mode: str, changed: Changed) -> None:
    plan = run_plan(changed({"allocation.mode": mode}), 0)
    assert (plan.allocation.mode.name, plan.allocation.has_logits) == (mode, True)


def test_values_are_passed_on(changed: Changed) -> None:
    plan = run_plan(changed({"init.name": "values", "init.values": [0.5, 1.0]}), 0)
    assert (plan.allocation.init, plan.allocation.init_values) == ("values", (0.5, 1.0))


def test_cut_run_has_no_logits(changed: Changed) -> None:
    plan = run_plan(changed(BY_IMPORTANCE), 0)
    assert not plan.allocation.has_logits
    assert plan.allocation.importance == Importance(
        warmup_fraction=0.2, final_fraction=0.3, every=7, beta1=0.8, beta2=0.9
    )
    fixed = run_plan(changed(BY_IMPORTANCE | {"init.name": "fixed"}), 0)
    assert fixed.allocation.importance is None


@pytest.mark.parametrize(
    ("name", "there", "found"),
    [("cpu", True, "cpu"), ("auto", False, "cpu"), ("auto", True, "cuda"), ("cuda", True, "cuda")],
)
def test_device_is_found(
    name: str, there: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert find_device(name).type == found


def test_missing_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="device must be there, but got cuda"):
        find_device("cuda")
