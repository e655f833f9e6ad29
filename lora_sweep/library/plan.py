"""What an adapter is told, as plain numbers; every rule is checked when a plan is made."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lora_sweep.adapters.factors.kinds import Recipe
from lora_sweep.allocation.init_schedules import INIT_SCHEDULES
from lora_sweep.allocation.mode import make_mode, modes_without_logits
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.rules import MOST_NUMPY_SEED, is_positive, require, require_count
from lora_sweep.training.plan import RunPlan
from lora_sweep.vocabulary import EXACT, FIXED, LORA_ALPHA


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
        mode: how logits become ranks and masks: the name of a mode with logits, e.g. `capped`,
            `published` or `soft_topk`.
        alpha_min: sharpness of the soft mask at the first step, above 0.
        alpha_max: sharpness after the last step, above 0.
        alpha_schedule: how alpha moves, one of `ALPHA_SCHEDULES`.
        tau: strength of the Gumbel noise in the soft mask; 0 for none.
        mode_settings: settings of a mode that has some of its own, name -> value.
        budget_start: average rank that the budget pays for before its ramp, within rank_min ...
            rank_max; None for rank_average.
        budget_end: the same after the ramp.
        budget_hold_epochs: epochs before the ramp.
        budget_move_epochs: epochs that the ramp takes.
        epochs_discrete: last epochs that train with discrete masks.
        lora_alpha: factor on the update times rank_max, above 0.
        adapter_dropout: share of an adapter's inputs that training drops, by torch's own
            generator; within 0 ... 1 (1 excluded).
        seed: fixes the start of R, of the logits that are drawn, and the noise.
        factors: kind of the frozen factors A and B: `exact`; `randomised` as LoRA-XS's own code
            makes them; `random`, `random_b` or `orthogonal` without the SVD's directions.
        factors_seed: of kinds that draw; LoRA-XS's own by default.

    Raises:
        ValueError: a value breaks its rule; the message names it.
    """

    rank_min: int = 5
    rank_max: int = 25
    rank_average: float = 20
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
    lora_alpha: float = LORA_ALPHA
    adapter_dropout: float = 0.0
    seed: int = 0
    factors: str = EXACT
    factors_seed: int = 42
    mode_settings: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", "at least 0", self.seed)
        require(is_positive(self.lora_alpha), "lora_alpha", "above 0 and finite", self.lora_alpha)
        share, rule = self.adapter_dropout, "within 0 ... 1 (1 excluded)"
        require(0 <= share < 1, "adapter_dropout", rule, share)
        require_count("factors_seed", self.factors_seed, 0, MOST_NUMPY_SEED)
        self.allocation, self.recipe  # noqa: B018 - runs their rules

    @property
    def has_fixed_ranks(self) -> bool:
        """Whether nothing is learnt, because there are no logits or only one rank to choose."""
        return self.allocation.has_fixed_ranks

    @cached_property
    def recipe(self) -> Recipe:
        """Which frozen factors the adapted matrices have."""
        return Recipe(self.factors, self.factors_seed)

    @cached_property
    def allocation(self) -> AllocationPlan:
        """The same as a sweep's run has it."""
        has_logits = self.mode not in modes_without_logits()
        require(has_logits, "mode", "one with logits", repr(self.mode))
        known = [*INIT_SCHEDULES, FIXED]
        require(self.init in known, "init", f"one of {', '.join(known)}", repr(self.init))
        return AllocationPlan(
            rank_min=self.rank_min,
            rank_max=self.rank_max,
            rank_average=self.rank_average,
            init=self.init,
            mode=make_mode(self.mode, {"tau": self.tau, **self.mode_settings}),
            alpha_min=self.alpha_min,
            alpha_max=self.alpha_max,
            alpha_schedule=self.alpha_schedule,
            budget_start=self.budget_start,
            budget_end=self.budget_end,
            budget_hold_epochs=self.budget_hold_epochs,
            budget_move_epochs=self.budget_move_epochs,
            epochs_discrete=self.epochs_discrete,
            init_values=self.init_values,
        )


def run_plan(plan: AdapterPlan) -> RunPlan:
    """Returns the same as the plan of a run, for the parts that a sweep's training has too.

    Learning rates are 0: the optimiser is the caller's.
    """
    return RunPlan(
        seed=plan.seed,
        allocation=plan.allocation,
        lr_logits=0.0,
        lr_adapter=0.0,
        lr_head=0.0,
        lr_schedule="constant",
        warmup_fraction=0.0,
        weight_decay=0.0,
        max_gradient_norm=math.inf,
        lora_alpha=plan.lora_alpha,
    )
