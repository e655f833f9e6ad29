"""A pack: K runs that train together over one frozen base, and what they share.

A single run is a pack of one; there is no other code path.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.training.allocator import PackAllocator
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.optim import BankAdamW, lr_factor
from lora_sweep.training.parameters import LATENT, LOGITS, Parameters, start_parameters
from lora_sweep.training.plan import LORA_ALPHA, PackPlan, RunPlan


@dataclass(frozen=True)
class PackTexts:
    """The tokenised corpus that all runs of a pack see, and how predictions on it are judged.

    Attributes:
        train: training texts.
        dev: part name -> texts, in order.
        headline_parts: dev parts whose concatenation gives the metrics without a suffix.
        selection: texts held out to choose the epoch, or None.
        metrics: metric names, the headline first.
        n_labels: outputs of the head; 1 for regression.
        is_regression: squared error instead of cross-entropy.
    """

    train: TokenisedTexts
    dev: dict[str, TokenisedTexts]
    headline_parts: tuple[str, ...]
    selection: TokenisedTexts | None
    metrics: tuple[str, ...]
    n_labels: int
    is_regression: bool


class Pack:
    """The changing state of a pack: which runs are left, their parameters and optimiser.

    Attributes:
        runs: positions of the runs that are left, in the order that the pack was made with; row
            k of every bank belongs to `runs[k]`.
        plans: their plans.
        step: optimiser steps taken so far.
    """

    def __init__(
        self, encoder: AdaptedEncoder, texts: PackTexts, plans: Sequence[RunPlan], shared: PackPlan
    ) -> None:
        """Draws every run's starting values from its own seed."""
        self.encoder, self.texts, self.shared = encoder, texts, shared
        self.plans = list(plans)
        self.runs = list(range(len(plans)))
        self.step = 0
        self.steps_per_epoch = -(-len(texts.train) // shared.batch_size)
        self.n_steps = self.steps_per_epoch * shared.n_epochs
        n_matrices = len(encoder.layers)
        self.allocator = PackAllocator(
            plans,
            n_matrices,
            steps_per_epoch=self.steps_per_epoch,
            n_epochs=shared.n_epochs,
            device=shared.device,
        )
        parameters = start_parameters(
            plans,
            n_matrices=n_matrices,
            d=encoder.d,
            n_labels=texts.n_labels,
            device=shared.device,
        )
        decay = self._vector([plan.weight_decay for plan in plans])
        self.optimiser = BankAdamW(parameters, decay)

    @property
    def parameters(self) -> Parameters:
        """Bank name -> values (K, ...)."""
        return self.optimiser.parameters

    @property
    def latent(self) -> Tensor:
        """Latent matrices R (K, N, r, r)."""
        return self.parameters[LATENT]

    @property
    def logits(self) -> Tensor:
        """Allocation logits (K, N)."""
        return self.parameters[LOGITS]

    @property
    def lora_scale(self) -> Tensor:
        """Factor on the update, s = LORA_ALPHA / rank_max, of every run (K,)."""
        return self._vector([LORA_ALPHA / plan.rank_max for plan in self.plans])

    @property
    def max_gradient_norm(self) -> Tensor:
        """Bound on every run's gradient norm (K,)."""
        return self._vector([plan.max_gradient_norm for plan in self.plans])

    def learning_rates(self, discrete: Sequence[bool]) -> dict[str, Tensor]:
        """Returns bank name -> learning rate of every run (K,) at this step.

        Logits rest while a run trains with discrete masks: nothing reaches them then.
        """
        factors = [
            lr_factor(
                plan.lr_schedule, self.step, self.n_steps, warmup_fraction=plan.warmup_fraction
            )
            for plan in self.plans
        ]
        rows = list(zip(self.plans, factors, discrete, strict=True))
        head = self._vector([plan.lr_head * factor for plan, factor, _ in rows])
        rates = dict.fromkeys(self.parameters, head)
        rates[LATENT] = self._vector([plan.lr_adapter * factor for plan, factor, _ in rows])
        rates[LOGITS] = self._vector(
            [
                plan.allocation.lr * factor if plan.allocation and not is_discrete else 0.0
                for plan, factor, is_discrete in rows
            ]
        )
        return rates

    def drop(self, rows: Sequence[int]) -> None:
        """Takes those rows out of the pack; the other runs go on as they were."""
        kept = [row for row in range(len(self.runs)) if row not in rows]
        self.runs = [self.runs[row] for row in kept]
        self.plans = [self.plans[row] for row in kept]
        self.allocator.keep(kept)
        self.optimiser.keep(torch.tensor(kept, dtype=torch.long, device=self.shared.device))

    def _vector(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.shared.device)
