"""Settings -> plans: every number goes where it belongs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError
from lora_sweep.runs.plans import find_device, pack_plan, run_plan
from lora_sweep.training.plan import AllocationPlan, PackPlan, RunPlan

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


def test_run_plan_has_every_number(changed: Changed) -> None:
    assert run_plan(changed(SETTINGS), 5) == RunPlan(
        seed=5,
        rank_min=3,
        rank_max=13,
        rank_average=7,
        allocation=AllocationPlan(
            init="randn",
            capped=False,
            alpha_schedule="cosine",
            alpha_min=0.25,
            alpha_max=4.0,
            tau=0.125,
            budget_start=5.0,
            budget_end=6.0,
            budget_hold_epochs=0.5,
            budget_move_epochs=1.5,
            epochs_discrete=2,
            lr=0.03,
        ),
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
def test_fixed_ranks_have_no_allocation(settings: dict[str, Any], changed: Changed) -> None:
    assert run_plan(changed(settings), 0).allocation is None


def test_capped_mode_is_passed_on(changed: Changed) -> None:
    allocation = run_plan(changed({"allocation.mode": "capped"}), 0).allocation
    assert allocation is not None
    assert allocation.capped


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
