"""Typed configs -> plans: the numbers that the training loop works by."""

from dataclasses import dataclass

import torch

from lora_sweep.config.run import RunConfig
from lora_sweep.config.schema import IMPORTANCE_SETTINGS, AllocationConfig
from lora_sweep.errors import SettingError
from lora_sweep.training.plan import AllocationPlan, ImportancePlan, PackPlan, RunPlan, Start

LOG_RANKS_EPOCHS = 2
"""First epochs in which ranks are recorded within the epoch. Source: the published study."""


@dataclass(frozen=True)
class Sources:
    """What the cell's runs take from other runs; None for nothing.

    Attributes:
        logits: starting logits (N,).
        ranks: integer ranks (N,) that stay.
        start: R and head to start from.
    """

    logits: tuple[float, ...] | None = None
    ranks: tuple[int, ...] | None = None
    start: Start | None = None


NO_SOURCES = Sources()


def run_plan(config: RunConfig, seed: int, sources: Sources = NO_SOURCES) -> RunPlan:
    """Returns the plan of the cell's run with this seed."""
    return RunPlan(
        seed=seed,
        rank_min=config.rank.min,
        rank_max=config.rank.max,
        rank_average=config.rank.average,
        allocation=_allocation_plan(config, sources.logits),
        lr_adapter=config.learning_rate.adapter,
        lr_head=config.learning_rate.head,
        lr_schedule=config.learning_rate.schedule,
        warmup_fraction=config.learning_rate.warmup_fraction,
        weight_decay=config.training.weight_decay,
        max_gradient_norm=config.training.max_gradient_norm,
        importance=_importance_plan(config.allocation) if config.is_by_importance else None,
        frozen_ranks=sources.ranks,
        start=sources.start,
    )


def pack_plan(config: RunConfig) -> PackPlan:
    """Returns what the cell's runs share.

    Raises:
        SettingError: the device is not there.
    """
    return PackPlan(
        n_epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        evaluation_batch_size=config.training.evaluation_batch_size,
        log_every=config.training.log_every,
        log_ranks_epochs=LOG_RANKS_EPOCHS,
        device=find_device(config.device),
    )


def find_device(name: str) -> torch.device:
    """Returns the device; `auto` is CUDA if it is there, else the CPU.

    Raises:
        SettingError: CUDA was asked for and is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError("device must be there, but got cuda: torch finds no CUDA device")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _allocation_plan(config: RunConfig, taken: tuple[float, ...] | None) -> AllocationPlan | None:
    """How the cell's runs learn their logits; None where they have none."""
    if config.has_fixed_ranks or config.is_by_importance:
        return None
    values = config.init.values if taken is None else taken
    return AllocationPlan(
        init=config.init.name if taken is None else "values",
        mode=config.allocation.mode,
        alpha_schedule=config.alpha.schedule,
        alpha_min=config.alpha.min,
        alpha_max=config.alpha.max,
        tau=config.allocation.tau,
        budget_start=config.budget.start_average,
        budget_end=config.budget.end_average,
        budget_hold_epochs=config.budget.hold_epochs,
        budget_move_epochs=config.budget.move_epochs,
        epochs_discrete=config.training.epochs_discrete,
        lr=config.lr,
        init_values=None if values is None else tuple(values),
    )


def _importance_plan(config: AllocationConfig) -> ImportancePlan:
    own = {name: getattr(config, name) for name in IMPORTANCE_SETTINGS}
    return ImportancePlan(**own)
