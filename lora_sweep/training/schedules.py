"""What a pack's schedules say at every step, for all runs at once: rank budget and alpha.

They are tabled on the device beforehand: a step waits for nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lora_sweep.allocation.alpha_schedules import alpha_at
from lora_sweep.allocation.budget_schedules import ramp
from lora_sweep.allocation.costs import RankCosts
from lora_sweep.allocation.importance import shrunk_budget
from lora_sweep.allocation.modes.importance import Importance
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.training.plan import Length, RunPlan


class PackSchedules:
    """Budget and alpha of K runs over N matrices, by their plans.

    Attributes:
        length: of the training.
        alphas, budgets: after 0 ... n_steps steps (n_steps + 1, K), float64; alpha is 1 for a run
            without logits.
    """

    def __init__(
        self,
        plans: Sequence[RunPlan],
        n_matrices: int,
        *,
        costs: RankCosts,
        length: Length,
        device: torch.device,
    ) -> None:
        """Tables the schedules.

        Args:
            plans: one a run.
            n_matrices: N.
            costs: of the ranks.
            length: of the training.
            device: where the tables are.
        """
        self._allocations = [plan.allocation for plan in plans]
        self.n_matrices, self.costs = n_matrices, costs
        self.length = length
        self.alphas, self.budgets = self._tables().to(device)

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all runs but those rows."""
        self._allocations = [self._allocations[row] for row in rows]
        self.alphas, self.budgets = self.alphas[:, rows], self.budgets[:, rows]

    def budget_params(self, step: int) -> list[float]:
        """Returns the rank budget M_p of every run after `step` steps, in parameters."""
        return [self._budget(plan, step) for plan in self._allocations]

    def alpha(self, step: int) -> list[float | None]:
        """Returns alpha of every run after `step` steps; None for a run without logits."""
        return [self._alpha(plan, step) for plan in self._allocations]

    def is_settled(self, step: int) -> list[bool]:
        """Returns whether each run's budget is what it will be at the training's end."""
        return [
            self._budget(plan, step) == self._budget(plan, self.length.n_steps)
            for plan in self._allocations
        ]

    def is_discrete(self, epoch: int) -> list[bool]:
        """Returns whether each run trains epoch `epoch` (0 for the first) with discrete masks."""
        return [
            not plan.has_logits or epoch >= self.length.n_epochs - plan.epochs_discrete
            for plan in self._allocations
        ]

    def _tables(self) -> Tensor:
        """Alpha and budget after 0 ... n_steps steps (2, n_steps + 1, K)."""
        steps = range(self.length.n_steps + 1)
        columns: dict[AllocationPlan, list[list[float]]] = {}
        for plan in self._allocations:
            if plan not in columns:  # most runs of a sweep share their schedules
                columns[plan] = [
                    [self._alpha(plan, step) or 1.0 for step in steps],
                    [self._budget(plan, step) for step in steps],
                ]
        rows = [columns[plan] for plan in self._allocations]
        return torch.tensor(rows, dtype=torch.float64).permute(1, 2, 0).contiguous()

    def _alpha(self, plan: AllocationPlan, step: int) -> float | None:
        if not plan.has_logits:
            return None
        return alpha_at(
            plan.alpha_schedule,
            step,
            self.length.n_steps,
            alpha_min=plan.alpha_min,
            alpha_max=plan.alpha_max,
        )

    def _budget(self, plan: AllocationPlan, step: int) -> float:
        if plan.has_logits:
            return self._ramp(plan, step)
        if plan.importance is None:
            return float(self.costs.spent(plan.fixed_ranks(self.n_matrices)))
        start, end = map(self._paying_for, (float(plan.rank_max), float(plan.rank_average)))
        return self._shrunk(plan.importance, step, start, end)

    def _ramp(self, plan: AllocationPlan, step: int) -> float:
        start, end = map(self._paying_for, plan.budget_averages)
        return ramp(
            step,
            start=start,
            end=end,
            n_hold=plan.budget_hold_epochs * self.length.steps_per_epoch,
            n_move=plan.budget_move_epochs * self.length.steps_per_epoch,
        )

    def _paying_for(self, average: float) -> float:
        return self.costs.budget(average, self.n_matrices)

    def _shrunk(self, plan: Importance, step: int, start: float, end: float) -> float:
        return shrunk_budget(
            step,
            start=start,
            end=end,
            first=int(plan.warmup_fraction * self.length.n_steps),
            last=self.length.n_steps - int(plan.final_fraction * self.length.n_steps),
            every=plan.every,
        )
