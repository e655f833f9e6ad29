"""A pack's rank allocation: logits -> ranks -> masks, at any step, for all runs at once.

Run axis first: K runs, N adapted matrices, masks (K, N, r, r) with r the largest rank_max. What
the schedules say at every step is tabled on the device beforehand: a step waits for nothing.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lora_sweep.allocation.alpha_schedules import alpha_at
from lora_sweep.allocation.budget_schedules import ramp
from lora_sweep.allocation.masks import discrete_masks, gumbel_noise, soft_masks
from lora_sweep.allocation.ranks import (
    capped_ranks,
    integer_ranks_within_budget,
    nearest_integer_ranks,
    published_ranks,
)
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import stream_generator


class PackAllocator:
    """Ranks and masks of K runs over N matrices, by their plans."""

    def __init__(
        self,
        plans: Sequence[RunPlan],
        n_matrices: int,
        *,
        r: int,
        steps_per_epoch: int,
        n_epochs: int,
        device: torch.device,
    ) -> None:
        """Turns the plans into vectors over the runs.

        Args:
            plans: one a run.
            n_matrices: N.
            r: size of the masks, at least every plan's rank_max.
            steps_per_epoch: optimiser steps in an epoch.
            n_epochs: epochs of the whole training.
            device: where logits and masks are.
        """
        self.n_matrices = n_matrices
        self.steps_per_epoch = steps_per_epoch
        self.n_epochs = n_epochs
        self.device = device
        self.r = r
        self._noise = [stream_generator(plan.seed, "gumbel") for plan in plans]
        self._held: dict[int, tuple[float, list[int]]] = {}
        self._take(plans)
        self._hard: tuple[list[list[int]], Tensor] | None = None
        self._alphas, self._budgets = self._tables().to(device)  # (n_steps + 1, K) each

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all runs but those rows; R keeps its size r."""
        self._noise = [self._noise[row] for row in rows]
        self._held = {new: self._held[old] for new, old in enumerate(rows) if old in self._held}
        self._hard = None
        self._alphas, self._budgets = self._alphas[:, rows], self._budgets[:, rows]
        self._take([self.plans[row] for row in rows])

    def noise_states(self) -> list[Tensor]:
        """Returns the state of every run's generator of Gumbel noise."""
        return [generator.get_state() for generator in self._noise]

    def set_noise_states(self, states: Sequence[Tensor]) -> None:
        """Takes states that `noise_states` gave, one a run."""
        for generator, state in zip(self._noise, states, strict=True):
            generator.set_state(state)

    def budget_params(self, step: int) -> list[float]:
        """Returns the rank budget M_p of every run after `step` steps, in entries of R."""
        return [self._budget(plan, step) for plan in self.plans]

    def alpha(self, step: int) -> list[float | None]:
        """Returns alpha of every run after `step` steps; None for fixed ranks."""
        return [self._alpha(plan, step) for plan in self.plans]

    def is_discrete(self, epoch: int) -> list[bool]:
        """Returns whether each run trains epoch `epoch` (0 for the first) with discrete masks."""
        return [
            plan.allocation is None or epoch >= self.n_epochs - plan.allocation.epochs_discrete
            for plan in self.plans
        ]

    def ranks(self, logits: Tensor, step: int) -> Tensor:
        """Returns real-valued ranks (K, N), float64, differentiable in the logits (K, N)."""
        w = logits.double()
        budget = self._budgets[step]
        ranks = self._average[:, None].expand_as(w)
        if any(self._is_capped):
            capped = capped_ranks(w, budget, self._rank_min, self._rank_max)
            ranks = torch.where(self._rows(self._is_capped, 2), capped, ranks)
        is_published = [
            not fixed and not capped
            for fixed, capped in zip(self._is_fixed, self._is_capped, strict=True)
        ]
        if any(is_published):
            published = published_ranks(w, budget, self._rank_min)
            ranks = torch.where(self._rows(is_published, 2), published, ranks)
        return ranks

    def integer_ranks(self, ranks: Tensor, step: int) -> list[list[int]]:
        """Returns the rounded ranks of every run, K lists of N, by the mode of its plan."""
        if all(self._is_fixed):
            return [[plan.rank_average] * self.n_matrices for plan in self.plans]
        budgets = self.budget_params(step)
        return [
            _round(plan, row, budget)
            for plan, row, budget in zip(self.plans, ranks.tolist(), budgets, strict=True)
        ]

    def masks(self, logits: Tensor, step: int, discrete: Sequence[bool]) -> Tensor:
        """Returns the masks (K, N, r, r) to train step `step` with.

        Args:
            logits: allocation logits (K, N).
            step: steps taken so far.
            discrete: which runs train with discrete masks; the others get soft ones. A run's
                logits rest from its first discrete step on.
        """
        if all(self._is_fixed):
            return self._hard_masks(self._average[:, None].expand_as(logits), step, discrete)
        ranks = self.ranks(logits, step)
        if all(discrete):
            return self._hard_masks(ranks, step, discrete)
        soft = soft_masks(
            ranks.float(),
            self._alphas[step].float(),
            rank_min=self._rank_min,
            rank_max=self._rank_max,
            r=self.r,
            noise=self._gumbel(),
        )
        if not any(discrete):
            return soft
        hard = self._hard_masks(ranks, step, discrete)
        return torch.where(self._rows(discrete, 4), hard, soft)

    def discrete_masks(self, ranks: Tensor, step: int) -> Tensor:
        """Returns discrete masks (K, N, r, r) of real-valued ranks (K, N)."""
        integer = torch.tensor(self.integer_ranks(ranks, step), device=self.device)
        return discrete_masks(integer, self.r)

    def _hard_masks(self, ranks: Tensor, step: int, discrete: Sequence[bool]) -> Tensor:
        """Discrete masks (K, N, r, r); those of the rows that train with soft ones say nothing.

        Rounding needs the ranks' values, and so waits for the device. A run's ranks only change
        with its budget once its logits rest, so they are rounded once a budget, not once a step.
        """
        budgets = self.budget_params(step)
        for row, plan in enumerate(self.plans):
            held = self._held.get(row)
            if discrete[row] and (held is None or held[0] != budgets[row]):
                self._held[row] = budgets[row], _round(plan, ranks[row].tolist(), budgets[row])
        rest = [0] * self.n_matrices
        rows = [self._held[k][1] if discrete[k] else rest for k in range(len(self.plans))]
        if self._hard is None or self._hard[0] != rows:
            self._hard = rows, discrete_masks(torch.tensor(rows, device=self.device), self.r)
        return self._hard[1]

    def _take(self, plans: Sequence[RunPlan]) -> None:
        self.plans = list(plans)
        self._rank_min = self._vector([plan.rank_min for plan in plans])
        self._rank_max = self._vector([plan.rank_max for plan in plans])
        self._average = self._vector([plan.rank_average for plan in plans])
        self._is_fixed = [plan.allocation is None for plan in plans]
        self._is_capped = [
            plan.allocation is not None and plan.allocation.capped for plan in plans
        ]

    def _tables(self) -> Tensor:
        """Alpha (1 for fixed ranks) and budget after 0 ... n_steps steps (2, n_steps + 1, K)."""
        steps = range(self.steps_per_epoch * self.n_epochs + 1)
        columns: dict[object, list[list[float]]] = {}
        for plan in self.plans:
            key = plan.allocation, plan.rank_average
            if key not in columns:  # most runs of a sweep share their schedules
                columns[key] = [
                    [self._alpha(plan, step) or 1.0 for step in steps],
                    [self._budget(plan, step) for step in steps],
                ]
        rows = [columns[plan.allocation, plan.rank_average] for plan in self.plans]
        return torch.tensor(rows, dtype=torch.float64).permute(1, 2, 0).contiguous()

    def _alpha(self, plan: RunPlan, step: int) -> float | None:
        a = plan.allocation
        if a is None:
            return None
        n_steps = self.steps_per_epoch * self.n_epochs
        return alpha_at(
            a.alpha_schedule, step, n_steps, alpha_min=a.alpha_min, alpha_max=a.alpha_max
        )

    def _budget(self, plan: RunPlan, step: int) -> float:
        a = plan.allocation
        if a is None:
            return float(self.n_matrices * plan.rank_average**2)
        return ramp(
            step,
            self.n_matrices,
            start=a.budget_start,
            end=a.budget_end,
            n_hold=a.budget_hold_epochs * self.steps_per_epoch,
            n_move=a.budget_move_epochs * self.steps_per_epoch,
        )

    def _gumbel(self) -> Tensor | None:
        """Noise (K, N, r) of the soft masks; None if no run wants any."""
        taus = [plan.allocation.tau if plan.allocation else 0.0 for plan in self.plans]
        if not any(taus):
            return None
        draws = [
            gumbel_noise(self.n_matrices, self.r, tau=tau, generator=generator)
            for tau, generator in zip(taus, self._noise, strict=True)
        ]
        return torch.stack(draws).to(self.device)

    def _vector(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self.device)

    def _rows(self, flags: Sequence[bool], n_axes: int) -> Tensor:
        """Flags of the runs (K, 1, ...) with that many axes."""
        return torch.tensor(flags, device=self.device).view(-1, *[1] * (n_axes - 1))


def _round(plan: RunPlan, ranks: list[float], budget_params: float) -> list[int]:
    if plan.allocation is None:
        return [plan.rank_average] * len(ranks)
    if not all(map(math.isfinite, ranks)):
        # A run whose loss is not finite any more, until the next look at the losses drops it.
        return [plan.rank_min] * len(ranks)
    if not plan.allocation.capped:
        return nearest_integer_ranks(ranks, plan.rank_max)
    return integer_ranks_within_budget(
        ranks, budget_params, rank_min=plan.rank_min, rank_max=plan.rank_max
    )
