"""What a training needs to know, as plain numbers: one plan a run, one that a pack shares."""

from dataclasses import dataclass

import torch
from torch import Tensor

LORA_ALPHA = 16
"""lora_scale s = LORA_ALPHA / rank_max. Source: the published study."""


@dataclass(frozen=True)
class AllocationPlan:
    """How a run learns its ranks by logits.

    Attributes:
        init: name of the init schedule.
        mode: name of the way from logits to ranks and masks, one of `LOGIT_MODES`.
        alpha_schedule, alpha_min, alpha_max: sharpness of the soft mask over the steps.
        tau: strength of the Gumbel noise in the soft mask; 0 for none.
        budget_start, budget_end: average rank that the budget pays for, before and after its
            ramp; equal for a constant budget.
        budget_hold_epochs, budget_move_epochs: epochs before the ramp and in it.
        epochs_discrete: last epochs that train with discrete masks.
        lr: learning rate of the allocation logits.
        init_values: starting logits, one a matrix, for `init=values`; else None.
    """

    init: str
    mode: str
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
    init_values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ImportancePlan:
    """How a run cuts its ranks, from rank_max down to rank_average.

    Attributes:
        warmup_fraction: share of the steps before the budget falls.
        final_fraction: share of the steps after it has fallen.
        every: steps between two cuts.
        beta1, beta2: weights of the past in the averages of sensitivity and uncertainty.
    """

    warmup_fraction: float
    final_fraction: float
    every: int
    beta1: float
    beta2: float


@dataclass(frozen=True, eq=False)
class Start:
    """What a run starts from instead of fresh draws: what another run trained.

    Attributes:
        latent: R (N, rank_max, rank_max).
        head: `head.*`, name -> values; None for a fresh head.
    """

    latent: Tensor
    head: dict[str, Tensor] | None


@dataclass(frozen=True)
class RunPlan:
    """All in which the runs of a pack may differ.

    Attributes:
        seed: fixes every generator of the run.
        rank_min, rank_max: rank range; R is stored at rank_max.
        rank_average: rank of every matrix, if ranks are fixed; the average after the cuts.
        allocation: how ranks are learnt by logits; None for a run without logits.
        lr_adapter, lr_head: learning rates of R and of the head.
        lr_schedule: `linear` or `constant`.
        warmup_fraction: share of the steps that warm up.
        weight_decay: decoupled weight decay, on all that is trained.
        max_gradient_norm: bound on the global norm over the run's trained parameters.
        importance: how ranks are cut, for a run without logits; None for fixed ranks.
        frozen_ranks: fixed rank of every matrix, where they are not all rank_average; else None.
        start: what R and head start from; None for fresh draws.
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
    importance: ImportancePlan | None = None
    frozen_ranks: tuple[int, ...] | None = None
    start: Start | None = None

    @property
    def has_fixed_ranks(self) -> bool:
        """Whether every matrix keeps its rank throughout."""
        return self.allocation is None and self.importance is None

    def fixed_ranks(self, n_matrices: int) -> list[int]:
        """Returns the rank of every matrix (N) where ranks are fixed.

        Args:
            n_matrices: N.

        Raises:
            ValueError: there are not as many frozen ranks.
        """
        if self.frozen_ranks is None:
            return [self.rank_average] * n_matrices
        if len(self.frozen_ranks) != n_matrices:
            raise ValueError(
                f"frozen_ranks must have one rank a matrix, {n_matrices}, but got "
                f"{len(self.frozen_ranks)}"
            )
        return list(self.frozen_ranks)


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
