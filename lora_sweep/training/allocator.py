"""A pack's rank allocation: logits -> ranks -> masks, at any step, for all runs at once.

What a step needs of the plans is on the device before it: a step makes no tensor of Python's
numbers, for which a GPU's host would wait.

Run axis first: K runs, N adapted matrices, masks (K, N, r, r) with r the largest rank_max. How
logits become ranks is said by each run's mode; runs without logits have fixed ranks, ones that are
cut by importance, or ones that are drawn for every step.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lora_sweep.adapters.kind import Shapes
from lora_sweep.allocation.costs import RankBudget, RankCosts
from lora_sweep.allocation.masks import discrete_masks, gumbel_noise, square_masks
from lora_sweep.allocation.mode import LogitMode, Terms
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.training.costs import rank_costs
from lora_sweep.training.importance import PackImportance
from lora_sweep.training.plan import Length, RunPlan
from lora_sweep.training.schedules import PackSchedules
from lora_sweep.training.seeds import stream_generator
from lora_sweep.training.squares import PackSquares

KeptShells = Callable[[Tensor, Tensor, Terms, Tensor | None], Tensor]


class PackAllocator:
    """Ranks and masks of K runs over N matrices, by their plans.

    Attributes:
        costs: of the ranks, the same for all runs.
        schedules: rank budget and alpha of every run.
        importance: what the runs that are cut keep between steps.
        squares: ranks of every step of the runs that draw them.
    """

    def __init__(
        self,
        plans: Sequence[RunPlan],
        shapes: Shapes,
        *,
        r: int,
        length: Length,
        device: torch.device,
    ) -> None:
        """Turns the plans into vectors over the runs.

        Args:
            plans: one a run, with adapters of one kind.
            shapes: of the adapted matrices (N).
            r: size of the masks, at least every plan's rank_max.
            length: of the training.
            device: where logits and masks are.
        """
        self.n_matrices = n_matrices = len(shapes)
        self.device = device
        self.costs = rank_costs(plans[0].adapter, shapes)
        self.r = r
        self.schedules = PackSchedules(
            plans, n_matrices, costs=self.costs, length=length, device=device
        )
        self.importance = PackImportance(plans, shapes, r=r, device=device)
        self.squares = PackSquares(plans, length.n_steps, device=device)
        self._noise = [stream_generator(plan.seed, "gumbel") for plan in plans]
        self._held: dict[int, tuple[float, list[int]]] = {}
        self._known_flags: dict[tuple[bool, ...], Tensor] = {}
        self._take(plans)
        self._hard: tuple[list[list[int]], Tensor] | None = None

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all runs but those rows; R keeps its size r."""
        self._noise = [self._noise[row] for row in rows]
        self._held = {new: self._held[old] for new, old in enumerate(rows) if old in self._held}
        self._hard = None
        self.schedules.keep(rows)
        self.importance.keep(rows)
        self.squares.keep(rows)
        self._take([self.plans[row] for row in rows])

    def noise_states(self) -> list[Tensor]:
        """Returns the state of every run's generator of Gumbel noise."""
        return [generator.get_state() for generator in self._noise]

    def set_noise_states(self, states: Sequence[Tensor]) -> None:
        """Takes states that `noise_states` gave, one a run."""
        for generator, state in zip(self._noise, states, strict=True):
            generator.set_state(state)

    def observe(
        self, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor], step: int
    ) -> None:
        """Takes in a step's parameters and their gradients, for the runs that are cut by them.

        Args:
            parameters: what the step was taken with, name -> values (K, ...).
            gradients: of the runs' losses, not clipped, name -> values (K, ...).
            step: steps taken before this one.
        """
        budgets = self.schedules.budget_params
        self.importance.observe(parameters, gradients, budgets(step), budgets(step + 1))

    def ranks(self, logits: Tensor, step: int) -> Tensor:
        """Returns real-valued ranks (K, N), float64, differentiable in the logits (K, N)."""
        w, terms = logits.double(), self._terms(step)
        ranks = self._fixed
        for mode, rows in self._rows_of.items():
            ranks = torch.where(self._flags(rows, 2), mode.ranks(w, terms), ranks)
        if self.importance:
            ranks = ranks.index_copy(0, self.importance.rows, self.importance.as_cut.to(ranks))
        return ranks

    def integer_ranks(self, ranks: Tensor, step: int) -> list[list[int]]:
        """Returns the rounded ranks of every run, K lists of N, by the mode of its plan."""
        if not self._rows_of and not self.importance:
            return [plan.allocation.fixed_ranks(self.n_matrices) for plan in self.plans]
        budgets = self.schedules.budget_params(step)
        return [
            _round(plan.allocation, row, budget, self.costs)
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
        masks = self._masks(logits, step, discrete)
        if not self.squares:
            return masks
        drawn = self._flags(self.squares.flags, 4)
        return torch.where(drawn, self.squares.masks(step, self.r), masks)

    def discrete_masks(self, ranks: Tensor, step: int) -> Tensor:
        """Returns discrete masks (K, N, r, r) of real-valued ranks (K, N)."""
        integer = torch.tensor(self.integer_ranks(ranks, step), device=self.device)
        return discrete_masks(integer, self.r)

    def _masks(self, logits: Tensor, step: int, discrete: Sequence[bool]) -> Tensor:
        """Masks (K, N, r, r) of a step; those of the rows that draw their ranks say nothing."""
        if not self._rows_of:
            return self._hard_masks(self._fixed, step, discrete)
        ranks = self.ranks(logits, step)
        if all(discrete):
            return self._hard_masks(ranks, step, discrete)
        soft = self._soft_masks(logits, ranks, step)
        if not any(discrete):
            return soft
        hard = self._hard_masks(ranks, step, discrete)
        return torch.where(self._flags(discrete, 4), hard, soft)

    def _soft_masks(self, logits: Tensor, ranks: Tensor, step: int) -> Tensor:
        """Soft masks (K, N, r, r); those of runs without logits say nothing."""
        w, terms, noise = logits.double(), self._terms(step), self._gumbel()
        kept: Tensor | None = None
        for function, rows in self._kept_by.items():
            own = function(w, ranks, terms, noise)
            kept = own if kept is None else torch.where(self._flags(rows, 3), own, kept)
        assert kept is not None, "soft masks are asked for without a run that has logits"
        return square_masks(kept)

    def _hard_masks(self, ranks: Tensor, step: int, discrete: Sequence[bool]) -> Tensor:
        """Discrete masks (K, N, r, r); those of the rows that train with soft ones say nothing."""
        budgets = self.schedules.budget_params(step)
        rest = [0] * self.n_matrices
        rows = [
            self._resting_ranks(row, ranks, budgets[row]) if is_discrete else rest
            for row, is_discrete in enumerate(discrete)
        ]
        if self._hard is None or self._hard[0] != rows:
            self._hard = rows, discrete_masks(torch.tensor(rows, device=self.device), self.r)
        return self._hard[1]

    def _resting_ranks(self, row: int, ranks: Tensor, budget_params: float) -> list[int]:
        """Integer ranks (N) of a run that trains with discrete masks.

        Rounding needs the ranks' values, and so waits for the device. A run's ranks only change
        with its budget once its logits rest, so they are rounded once a budget, not once a step.
        """
        plan = self.plans[row].allocation
        if plan.has_fixed_ranks or plan.has_random_squares:
            return plan.fixed_ranks(self.n_matrices)
        if row in self.importance.ranks:
            return self.importance.ranks[row]
        held = self._held.get(row)
        if held is None or held[0] != budget_params:
            rounded = _round(plan, ranks[row].tolist(), budget_params, self.costs)
            held = self._held[row] = budget_params, rounded
        return held[1]

    def _take(self, plans: Sequence[RunPlan]) -> None:
        self.plans = list(plans)
        own = [plan.allocation for plan in plans]
        self._rank_min = self._vector([plan.rank_min for plan in own])
        self._rank_max = self._vector([plan.rank_max for plan in own])
        # Ranks (K, N) of the runs whose ranks are fixed; those of the others say nothing.
        self._fixed = self._vector([plan.fixed_ranks(self.n_matrices) for plan in own])
        self.costs.units_on(self._fixed)  # are on the device before a step
        self._alpha_max = self._vector([p.alpha_max if p.has_logits else 1.0 for p in own])
        # Which rows (K) have each of the modes that occur, and each way to make a soft mask.
        self._rows_of: dict[LogitMode, list[bool]] = {}
        self._kept_by: dict[KeptShells, list[bool]] = {}
        for row, plan in enumerate(own):
            if plan.has_logits and isinstance(plan.mode, LogitMode):
                for rows in (
                    self._rows_of.setdefault(plan.mode, [False] * len(own)),
                    self._kept_by.setdefault(plan.mode.kept, [False] * len(own)),
                ):
                    rows[row] = True

    def _terms(self, step: int) -> Terms:
        return Terms(
            budget_params=self.schedules.budgets[step],
            alpha=self.schedules.alphas[step],
            alpha_max=self._alpha_max,
            rank_min=self._rank_min,
            rank_max=self._rank_max,
            r=self.r,
            costs=self.costs,
        )

    def _gumbel(self) -> Tensor | None:
        """Noise (K, N, r) of the soft masks; None if no run wants any."""
        own = [plan.allocation for plan in self.plans]
        taus = [plan.mode.tau if plan.has_logits else 0.0 for plan in own]
        if not any(taus):
            return None
        draws = [
            gumbel_noise(self.n_matrices, self.r, tau=tau, generator=generator)
            for tau, generator in zip(taus, self._noise, strict=True)
        ]
        drawn = torch.stack(draws)
        if self.device.type == "cuda":
            drawn = drawn.pin_memory()  # else the host would wait for the copy after all
        return drawn.to(self.device, non_blocking=True)

    def _vector(self, values: Sequence[float] | Sequence[list[int]]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self.device)

    def _flags(self, flags: Sequence[bool], n_axes: int) -> Tensor:
        """Flags of the runs (K, 1, ...) with that many axes; a pack has few, made once each."""
        key = tuple(flags)
        if key not in self._known_flags:
            self._known_flags[key] = torch.tensor(flags, device=self.device)
        return self._known_flags[key].view(-1, *[1] * (n_axes - 1))


def _round(
    plan: AllocationPlan, ranks: list[float], budget_params: float, costs: RankCosts
) -> list[int]:
    if plan.has_fixed_ranks:
        return plan.fixed_ranks(len(ranks))
    if not all(map(math.isfinite, ranks)):
        # A run whose loss is not finite any more, until the next look at the losses drops it.
        return [plan.rank_min] * len(ranks)
    if isinstance(plan.mode, LogitMode):
        return plan.mode.rounded(
            ranks, RankBudget(budget_params, plan.rank_min, plan.rank_max, costs)
        )
    return [round(rank) for rank in ranks]  # those that are cut are whole
