"""What a training needs to know, as plain numbers: one plan a run, one that a pack shares."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lora_sweep.adapters.kind import AdapterKind
from lora_sweep.adapters.kinds.lora_xs import LORA_XS_KIND
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.vocabulary import LORA_ALPHA


@dataclass(frozen=True, eq=False)
class Start:
    """What a run starts from instead of fresh draws: what another run trained.

    Attributes:
        adapter: name -> values of what its kind of adapter trains.
        head: `head.*`, name -> values; None for a fresh head.
    """

    adapter: dict[str, Tensor]
    head: dict[str, Tensor] | None


@dataclass(frozen=True)
class RunPlan:
    """All in which the runs of a pack may differ.

    Attributes:
        seed: fixes every generator of the run.
        allocation: how its ranks are allocated.
        lr_logits, lr_adapter, lr_head: learning rates of the allocation logits, the adapter (R,
            of LoRA-XS) and the head.
        lr_schedule: `linear` or `constant`.
        warmup_fraction: share of the steps that warm up.
        weight_decay: decoupled weight decay, on all that is trained.
        max_gradient_norm: bound on the global norm over the run's trained parameters.
        start: what adapter and head start from; None for fresh draws.
        lora_alpha: factor on the update times rank_max, above 0; `adapter.scale` says how.
        adapter: its kind; the same for all runs of a pack.
    """

    seed: int
    allocation: AllocationPlan
    lr_logits: float
    lr_adapter: float
    lr_head: float
    lr_schedule: str
    warmup_fraction: float
    weight_decay: float
    max_gradient_norm: float
    start: Start | None = None
    lora_alpha: float = LORA_ALPHA
    adapter: AdapterKind = LORA_XS_KIND

    @property
    def rank_max(self) -> int:
        """The rank that its adapter is stored at: the size of R."""
        return self.allocation.rank_max

    @property
    def lora_scale(self) -> float:
        """Factor on the update, s."""
        return self.adapter.scale(self.lora_alpha, self.rank_max)


@dataclass(frozen=True)
class Length:
    """How long a training is.

    It ends after `most_epochs` epochs or `max_steps` steps, whichever comes first; its last epoch
    may so be cut off.

    Attributes:
        steps_per_epoch: optimiser steps in an epoch, at least 1.
        most_epochs: passes over the training set, at least 1.
        max_steps: optimiser steps, at least 1; None for no bound.
    """

    steps_per_epoch: int
    most_epochs: int
    max_steps: int | None = None

    @property
    def n_steps(self) -> int:
        """Optimiser steps in all."""
        n_steps = self.steps_per_epoch * self.most_epochs
        return n_steps if self.max_steps is None else min(n_steps, self.max_steps)

    @property
    def n_epochs(self) -> int:
        """Epochs, with one that is cut off; so many evaluations."""
        return -(-self.n_steps // self.steps_per_epoch)

    def steps_in(self, epoch: int) -> int:
        """Returns the steps in an epoch, 0 for the first."""
        return min(self.steps_per_epoch, self.n_steps - epoch * self.steps_per_epoch)


@dataclass(frozen=True)
class PackPlan:
    """What all runs of a pack share.

    Attributes:
        n_epochs: most passes over the training set.
        max_steps: most optimiser steps; None for no bound.
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
    max_steps: int | None = None

    def length(self, n_texts: int) -> Length:
        """Returns how long a training on so many texts is."""
        return Length(-(-n_texts // self.batch_size), self.n_epochs, self.max_steps)
