"""What a training needs to know, as plain numbers: one plan a run, one that a pack shares."""

from dataclasses import dataclass

import torch

LORA_ALPHA = 16
"""lora_scale s = LORA_ALPHA / rank_max. Source: the published study."""


@dataclass(frozen=True)
class AllocationPlan:
    """How a run learns its ranks.

    Attributes:
        init: name of the init schedule.
        capped: redistribute what is over rank_max; else the published formula.
        alpha_schedule, alpha_min, alpha_max: sharpness of the soft mask over the steps.
        tau: strength of the Gumbel noise in the soft mask; 0 for none.
        budget_start, budget_end: average rank that the budget pays for, before and after its
            ramp; equal for a constant budget.
        budget_hold_epochs, budget_move_epochs: epochs before the ramp and in it.
        epochs_discrete: last epochs that train with discrete masks.
        lr: learning rate of the allocation logits.
    """

    init: str
    capped: bool
    alpha_schedule: str
    alpha_min: float
    alpha_max: float
    tau: float
    budget_start: float
    budget_end: float
    budget_hold_epochs: float
    budget_move_epochs: float
    epochs_discrete: int
    lr: float


@dataclass(frozen=True)
class RunPlan:
    """All in which the runs of a pack may differ.

    Attributes:
        seed: fixes every generator of the run.
        rank_min, rank_max: rank range; R is stored at rank_max.
        rank_average: rank of every matrix, if `allocation` is None.
        allocation: how ranks are learnt; None for fixed ranks.
        lr_adapter, lr_head: learning rates of R and of the head.
        lr_schedule: `linear` or `constant`.
        warmup_fraction: share of the steps that warm up.
        weight_decay: decoupled weight decay, on all that is trained.
        max_gradient_norm: bound on the global norm over the run's trained parameters.
    """

    seed: int
    rank_min: int
    rank_max: int
    rank_average: int
    allocation: AllocationPlan | None
    lr_adapter: float
    lr_head: float
    lr_schedule: str
    warmup_fraction: float
    weight_decay: float
    max_gradient_norm: float


@dataclass(frozen=True)
class PackPlan:
    """What all runs of a pack share.

    Attributes:
        n_epochs: passes over the training set.
        batch_size: texts a step and run.
        evaluation_batch_size: texts at once in an evaluation, over all runs.
        log_every: steps between two looks at the losses, and two records of the ranks.
        log_ranks_epochs: first epochs in which the ranks are recorded every `log_every` steps.
        device: where the pack trains.
    """

    n_epochs: int
    batch_size: int
    evaluation_batch_size: int
    log_every: int
    log_ranks_epochs: int
    device: torch.device
