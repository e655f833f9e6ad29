"""Typed configs -> plans: the numbers that the training loop works by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lora_sweep.allocation.costs import RankCosts
from lora_sweep.allocation.rank_logits import logits_of_ranks
from lora_sweep.config.allocation import allocation_plan
from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError
from lora_sweep.training.plan import Length, PackPlan, RunPlan, Start

LOG_RANKS_EPOCHS = 2
"""First epochs in which ranks are recorded within the epoch. Source: the published study."""


@dataclass(frozen=True)
class Sources:
    """What the cell's runs take from other runs; None for nothing.

    Attributes:
        logits: starting logits (N,).
        ranks: integer ranks (N,) that stay.
        start: adapter and head to start from.
    """

    logits: tuple[float, ...] | None = None
    ranks: tuple[int, ...] | None = None
    start: Start | None = None


NO_SOURCES = Sources()


def run_plan(config: RunConfig, seed: int, sources: Sources = NO_SOURCES) -> RunPlan:
    """Returns the plan of the cell's run with this seed."""
    return RunPlan(
        seed=seed,
        allocation=allocation_plan(config, logits=sources.logits, frozen_ranks=sources.ranks),
        lr_logits=config.lr,
        lr_adapter=config.learning_rate.adapter,
        lr_head=config.learning_rate.head,
        lr_schedule=config.learning_rate.schedule,
        warmup_fraction=config.learning_rate.warmup_fraction,
        weight_decay=config.training.weight_decay,
        max_gradient_norm=config.training.max_gradient_norm,
        start=sources.start,
        lora_alpha=config.model.lora_alpha,
        adapter=config.adapter_kind(),
    )


def calibrated(plan: RunPlan, ranks: Sequence[int], costs: RankCosts, *, freeze: bool) -> RunPlan:
    """Returns the plan of a run whose ranks come from the data, with them.

    Args:
        plan: of the run, as it is without them.
        ranks: integer ranks (N,).
        costs: of the ranks.
        freeze: whether they stay; else the logits start at them.
    """
    own = plan.allocation
    if freeze:
        return replace(plan, allocation=replace(own, frozen_ranks=tuple(ranks)))
    logits = logits_of_ranks(ranks, own, costs)
    return replace(plan, allocation=replace(own, init="values", init_values=logits))


def length_of(config: RunConfig, n_texts: int) -> Length:
    """Returns how long the cell's trainings on so many texts are, on whatever device."""
    return pack_plan(config, torch.device("cpu")).length(n_texts)


def pack_plan(config: RunConfig, device: torch.device | None = None) -> PackPlan:
    """Returns what the cell's runs share.

    Args:
        config: of the cell.
        device: that trains them; None for the config's.

    Raises:
        SettingError: the device is not there.
    """
    return PackPlan(
        n_epochs=config.training.epochs,
        max_steps=config.training.max_steps,
        batch_size=config.training.batch_size,
        evaluation_batch_size=config.training.evaluation_batch_size,
        log_every=config.training.log_every,
        log_ranks_epochs=LOG_RANKS_EPOCHS,
        device=find_device(config.device) if device is None else device,
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
