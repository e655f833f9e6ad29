"""A pack: K runs that train together over one frozen base, and what they share.

A single run is a pack of one; there is no other code path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.training.allocator import PackAllocator
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.optim import BankAdamW, lr_factor
from lora_sweep.training.parameters import (
    LOGITS,
    ParameterBank,
    Parameters,
    start_parameters,
)
from lora_sweep.training.plan import PackPlan, RunPlan
from lora_sweep.vocabulary import HEAD


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
        label_names: of class 0, 1, ..., where they are known.
    """

    train: TokenisedTexts
    dev: dict[str, TokenisedTexts]
    headline_parts: tuple[str, ...]
    selection: TokenisedTexts | None
    metrics: tuple[str, ...]
    n_labels: int
    is_regression: bool
    label_names: tuple[str, ...] = ()


class Pack:
    """The changing state of a pack: which runs are left, their parameters and optimiser.

    Attributes:
        runs: positions of the runs that are left, in the order that the pack was made with; row
            k of every bank belongs to `runs[k]`.
        plans: their plans.
        length: of the training.
        step: optimiser steps taken so far.
        lora_scale: factor on the update, s, of every run (K,).
        adapter: the kind of adapter of all runs.
        updates_of: parameters, masks and scales of some runs -> updates of the layers (N).
        max_gradient_norm: bound on every run's gradient norm (K,).
    """

    def __init__(
        self,
        encoder: AdaptedEncoder,
        texts: PackTexts,
        plans: Sequence[RunPlan],
        shared: PackPlan,
        *,
        r: int | None = None,
    ) -> None:
        """Draws every run's starting values from its own seed.

        Args:
            encoder: the frozen base.
            texts: the corpus.
            plans: one a run.
            shared: what the runs share.
            r: rank that the adapters are stored at (R's size); None for the largest rank_max.

        Raises:
            ValueError: several runs over an encoder whose dropout is not each run's own, or
                with adapters of several kinds.
        """
        if len(plans) > 1 and not encoder.can_pack:
            raise ValueError(
                "runs must train alone over an encoder whose dropout is its own, "
                f"but got {len(plans)} runs"
            )
        kinds = {plan.adapter for plan in plans}
        if len(kinds) > 1:
            raise ValueError(f"runs of a pack must have one kind of adapter, but got {kinds}")
        (self.adapter,) = kinds
        self.encoder, self.texts, self.shared = encoder, texts, shared
        self.plans = list(plans)
        self.runs = list(range(len(plans)))
        self.step = 0
        self.length = shared.length(len(texts.train))
        r = r or max(plan.rank_max for plan in plans)
        self.allocator = PackAllocator(
            plans,
            encoder.shapes,
            r=r,
            length=self.length,
            device=shared.device,
        )
        self.updates_of = self.adapter.updater(encoder.layers, r)
        has_logits = any(plan.allocation.has_logits for plan in plans)
        start = start_parameters(
            plans,
            shapes=encoder.shapes,
            spectra=encoder.spectra(r) if has_logits else None,
            r=r,
            d=encoder.d,
            n_labels=texts.n_labels,
        )
        start = {name: values.to(shared.device) for name, values in start.items()}
        decay = self._vector([plan.weight_decay for plan in plans])
        self.optimiser = BankAdamW(ParameterBank(start), decay)
        self.lora_scale = self._vector([plan.lora_scale for plan in plans])
        self.max_gradient_norm = self._vector([plan.max_gradient_norm for plan in plans])
        self._rates = self._rate_table().float().to(shared.device)  # (n_steps, K, 3)
        self._rate_of = self._rate_columns()

    @property
    def parameters(self) -> Parameters:
        """Name -> values (K, ...)."""
        return self.optimiser.bank.named

    @property
    def logits(self) -> Tensor:
        """Allocation logits (K, N)."""
        return self.parameters[LOGITS]

    def updates(self, masks: Tensor) -> tuple[Any, ...]:
        """Returns the updates of the layers (N) under masks (K, N, r, r)."""
        return self.updates_of(self.parameters, masks, self.lora_scale)

    def learning_rates(self) -> Tensor:
        """Returns the learning rates (K, P) at this step.

        Logits rest while a run trains with discrete masks: nothing reaches them then.
        """
        return self._rates[self.step].index_select(1, self._rate_of)

    def drop(self, rows: Sequence[int]) -> None:
        """Takes those rows out of the pack; the other runs go on as they were."""
        kept = [row for row in range(len(self.runs)) if row not in rows]
        self.runs = [self.runs[row] for row in kept]
        self.plans = [self.plans[row] for row in kept]
        self.allocator.keep(kept)
        index = torch.tensor(kept, dtype=torch.long, device=self.shared.device)
        self.optimiser.keep(index)
        self.lora_scale = self.lora_scale[index]
        self.max_gradient_norm = self.max_gradient_norm[index]
        self._rates = self._rates[:, index]

    def _rate_table(self) -> Tensor:
        """Learning rates of adapter, logits and head, by step and run (n_steps, K, 3)."""
        length, columns = self.length, dict[tuple[str, float], list[float]]()
        for plan in self.plans:
            key = plan.lr_schedule, plan.warmup_fraction
            if key not in columns:  # most runs of a sweep share their schedule
                columns[key] = [
                    lr_factor(key[0], step, length.n_steps, warmup_fraction=key[1])
                    for step in range(length.n_steps)
                ]
        rows = [columns[plan.lr_schedule, plan.warmup_fraction] for plan in self.plans]
        factors = torch.tensor(rows, dtype=torch.float64).T[..., None]  # (n_steps, K, 1)
        lrs = [
            (plan.lr_adapter, plan.lr_logits if plan.allocation.has_logits else 0.0, plan.lr_head)
            for plan in self.plans
        ]
        rates = factors * torch.tensor(lrs, dtype=torch.float64)
        rests = [
            self.allocator.schedules.is_discrete(epoch)
            for epoch in range(length.n_epochs)
            for _ in range(length.steps_in(epoch))
        ]
        rates[..., 1][torch.tensor(rests)] = 0.0
        return rates

    def _rate_columns(self) -> Tensor:
        """Which of a run's three learning rates each of its parameters has (P,)."""
        columns = self.optimiser.bank.columns()
        rates = [torch.full((c.stop - c.start,), _rate(name)) for name, c in columns.items()]
        return torch.cat(rates).to(self.shared.device)

    def _vector(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.shared.device)


def _rate(name: str) -> int:
    """Which of the learning rates a parameter has: the adapter's, the logits' or the head's."""
    if name == LOGITS:
        return 1
    return 2 if name.startswith(HEAD) else 0
