"""What an adapter is told, as plain numbers; every rule is checked when a plan is made."""

import math
from dataclasses import dataclass

from lora_sweep.allocation.alpha_schedules import ALPHA_SCHEDULES
from lora_sweep.allocation.init_schedules import INIT_SCHEDULES
from lora_sweep.allocation.modes import LOGIT_MODES
from lora_sweep.config.rules import is_positive, is_rate, require
from lora_sweep.training.plan import AllocationPlan, RunPlan

FIXED = "fixed"


@dataclass(frozen=True)
class AdapterPlan:
    """How the ranks of an adapter are learnt; defaults are the published study's, but for mode.

    Attributes:
        rank_min: least rank a matrix may get, at least 1.
        rank_max: size at which R is stored, at most min(d_in, d_out) of every adapted matrix.
        rank_average: rank that the budget pays for on average, M_p = N rank_average^2, within
            rank_min ... rank_max.
        init: where the allocation logits start, one of `INIT_SCHEDULES`; `fixed` for ranks that
            stay at rank_average.
        init_values: logits of one's own, one a matrix in module order, with init `values`.
        mode: how logits become ranks and masks, one of `LOGIT_MODES`.
        alpha_min: sharpness of the soft mask at the first step, above 0.
        alpha_max: sharpness after the last step, above 0.
        alpha_schedule: how alpha moves, one of `ALPHA_SCHEDULES`.
        tau: strength of the Gumbel noise in the soft mask; 0 for none.
        budget_start: average rank that the budget pays for before its ramp, within rank_min ...
            rank_max; None for rank_average.
        budget_end: the same after the ramp.
        budget_hold_epochs: epochs before the ramp.
        budget_move_epochs: epochs that the ramp takes.
        epochs_discrete: last epochs that train with discrete masks.
        seed: fixes the start of R, of the logits that are drawn, and the noise.

    Raises:
        ValueError: a value breaks its rule; the message names it.
    """

    rank_min: int = 5
    rank_max: int = 25
    rank_average: int = 20
    init: str = "uniform"
    init_values: tuple[float, ...] | None = None
    mode: str = "capped"
    alpha_min: float = 0.5
    alpha_max: float = 3.0
    alpha_schedule: str = "linear"
    tau: float = 0.0
    budget_start: float | None = None
    budget_end: float | None = None
    budget_hold_epochs: float = 0.0
    budget_move_epochs: float = 0.0
    epochs_discrete: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_ranks()
        self._check_choices()
        self._check_amounts()

    @property
    def has_fixed_ranks(self) -> bool:
        """Whether nothing is learnt, because there are no logits or only one rank to choose."""
        return self.init == FIXED or self.rank_min == self.rank_max

    def _check_ranks(self) -> None:
        low, high = self.rank_min, self.rank_max
        require(low >= 1, "rank_min", "at least 1", low)
        require(low <= high, "rank_min", f"at most rank_max={high}", low)
        averages = {
            "rank_average": self.rank_average,
            "budget_start": self.budget_start,
            "budget_end": self.budget_end,
        }
        for name, value in averages.items():
            holds = value is None or low <= value <= high
            require(holds, name, f"within rank_min={low} ... rank_max={high}", value)

    def _check_choices(self) -> None:
        choices = {
            "init": (self.init, [*INIT_SCHEDULES, FIXED]),
            "mode": (self.mode, list(LOGIT_MODES)),
            "alpha_schedule": (self.alpha_schedule, list(ALPHA_SCHEDULES)),
        }
        for name, (value, known) in choices.items():
            require(value in known, name, f"one of {', '.join(known)}", repr(value))
        given = self.init_values
        if self.init == "values":
            are_numbers = bool(given) and all(map(math.isfinite, given or ()))
            require(are_numbers, "init_values", "finite numbers, one a matrix", given)
        else:
            require(given is None, "init_values", f"None with init={self.init!r}", given)

    def _check_amounts(self) -> None:
        for name in ("alpha_min", "alpha_max"):
            value = getattr(self, name)
            require(is_positive(value), name, "above 0 and finite", value)
        for name in ("tau", "budget_hold_epochs", "budget_move_epochs"):
            value = getattr(self, name)
            require(is_rate(value), name, "at least 0 and finite", value)
        for name in ("epochs_discrete", "seed"):
            value = getattr(self, name)
            require(value >= 0, name, "at least 0", value)
        if self.mode == "soft_topk":
            require(self.tau == 0, "tau", "0 with mode='soft_topk', which has no noise", self.tau)


def run_plan(plan: AdapterPlan) -> RunPlan:
    """Returns the same as the plan of a run, for the parts that a sweep's training has too.

    Learning rates are 0: the optimiser is the caller's.
    """
    return RunPlan(
        seed=plan.seed,
        rank_min=plan.rank_min,
        rank_max=plan.rank_max,
        rank_average=plan.rank_average,
        allocation=None if plan.has_fixed_ranks else _allocation_plan(plan),
        lr_adapter=0.0,
        lr_head=0.0,
        lr_schedule="constant",
        warmup_fraction=0.0,
        weight_decay=0.0,
        max_gradient_norm=math.inf,
    )


def _allocation_plan(plan: AdapterPlan) -> AllocationPlan:
    average = float(plan.rank_average)
    return AllocationPlan(
        init=plan.init,
        mode=plan.mode,
        alpha_schedule=plan.alpha_schedule,
        alpha_min=plan.alpha_min,
        alpha_max=plan.alpha_max,
        tau=plan.tau,
        budget_start=average if plan.budget_start is None else plan.budget_start,
        budget_end=average if plan.budget_end is None else plan.budget_end,
        budget_hold_epochs=plan.budget_hold_epochs,
        budget_move_epochs=plan.budget_move_epochs,
        epochs_discrete=plan.epochs_discrete,
        lr=0.0,
        init_values=plan.init_values,
    )
