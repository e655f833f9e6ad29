"""How the ranks of a run are allocated, as plain numbers that have passed all their rules.

A sweep's settings and the library's arguments both become an `AllocationPlan`; the training knows
nothing else of them. No torch is loaded here.
"""

import math
from dataclasses import dataclass

from lora_sweep.allocation.alpha_schedules import ALPHA_SCHEDULES
from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.allocation.init_schedules import FROM_RUN, INIT_SCHEDULES
from lora_sweep.allocation.mode import Mode
from lora_sweep.allocation.modes.importance import Importance
from lora_sweep.allocation.modes.random_square import RandomSquare
from lora_sweep.rules import is_positive, is_rate, require
from lora_sweep.vocabulary import FIXED

MOST_APART = 300.0
"""Between two logits: exp(-300) is a share, exp(-800) is none, and its part would not be spent."""


@dataclass(frozen=True)
class AllocationPlan:
    """How the ranks of a run are allocated.

    Attributes:
        rank_min: least rank a matrix may get, at least 1.
        rank_max: size at which R is stored.
        rank_average: rank of every matrix where ranks are fixed, and in evaluations where they are
            drawn, then a whole number; else what the budget pays for on average, M_p =
            N rank_average^2. Within rank_min ... rank_max.
        init: where the allocation logits start, the name of an init schedule or a calibration;
            `fixed` for ranks that stay at rank_average.
        mode: how the budget is split.
        alpha_min, alpha_max: sharpness of the soft mask at the first step and after the last,
            above 0.
        alpha_schedule: how alpha moves, one of `ALPHA_SCHEDULES`.
        budget_start, budget_end: average rank that the budget pays for before and after its ramp,
            within rank_min ... rank_max; equal for a constant budget; None for rank_average.
        budget_hold_epochs, budget_move_epochs: epochs before the ramp and in it, at least 0.
        epochs_discrete: last epochs that train with discrete masks, at least 0.
        init_values: starting logits, one a matrix, for `init=values`; else None.
        frozen_ranks: rank of every matrix (N), where another run or a calibration gives them and
            they stay; else None.

    Raises:
        ValueError: a value breaks its rule; the message names it.
    """

    rank_min: int
    rank_max: int
    rank_average: float
    init: str
    mode: Mode
    alpha_min: float
    alpha_max: float
    alpha_schedule: str
    budget_start: float | None = None
    budget_end: float | None = None
    budget_hold_epochs: float = 0.0
    budget_move_epochs: float = 0.0
    epochs_discrete: int = 0
    init_values: tuple[float, ...] | None = None
    frozen_ranks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        self._check_ranks()
        self._check_init()
        self._check_alpha()
        self._check_budget()
        require(self.epochs_discrete >= 0, "epochs_discrete", "at least 0", self.epochs_discrete)

    @property
    def has_fixed_ranks(self) -> bool:
        """Whether every matrix keeps its rank throughout."""
        is_one = self.init == FIXED or self.rank_min == self.rank_max
        return is_one or self.frozen_ranks is not None

    @property
    def has_logits(self) -> bool:
        """Whether ranks follow trained logits."""
        return self.mode.has_logits and not self.has_fixed_ranks

    def learns_ranks(self, n_epochs: int) -> bool:
        """Returns whether a training of so many epochs has some in which logits move.

        Args:
            n_epochs: of the whole training.
        """
        return self.has_logits and n_epochs > self.epochs_discrete

    @property
    def importance(self) -> Importance | None:
        """How ranks are cut by importance; None where they are not."""
        is_cut = isinstance(self.mode, Importance) and not self.has_fixed_ranks
        return self.mode if is_cut else None  # type: ignore[return-value]

    @property
    def budget_averages(self) -> tuple[float, float]:
        """Average rank that the budget pays for before and after its ramp."""
        average = float(self.rank_average)
        start, end = self.budget_start, self.budget_end
        return average if start is None else start, average if end is None else end

    @property
    def has_random_squares(self) -> bool:
        """Whether every step trains a leading square of a rank that is drawn."""
        return isinstance(self.mode, RandomSquare) and not self.has_fixed_ranks

    @property
    def has_moving_budget(self) -> bool:
        """Whether the rank budget is not the same throughout the training."""
        if self.importance is not None:
            return self.rank_average != self.rank_max
        start, end = self.budget_averages
        return self.has_logits and start != end

    def fixed_ranks(self, n_matrices: int) -> list[int]:
        """Returns the rank of every matrix (N) where ranks are fixed.

        Args:
            n_matrices: N.

        Raises:
            ValueError: there are not as many frozen ranks.
        """
        if self.frozen_ranks is None:
            return [int(self.rank_average)] * n_matrices
        n_given = len(self.frozen_ranks)
        rule = f"one rank a matrix, {n_matrices}"
        require(n_given == n_matrices, "frozen_ranks", rule, n_given)
        return list(self.frozen_ranks)

    def _check_ranks(self) -> None:
        low, high, average = self.rank_min, self.rank_max, self.rank_average
        require(low >= 1, "rank_min", "at least 1", low)
        require(low <= high, "rank_min", f"at most rank_max={high}", low)
        within = f"within rank_min={low} ... rank_max={high}"
        require(low <= average <= high, "rank_average", within, average)
        is_fixed = self.has_fixed_ranks and self.frozen_ranks is None
        is_free = average == int(average) or not (is_fixed or self.has_random_squares)
        rule = f"whole with {'init=fixed' if is_fixed else 'mode=random_square'}"
        require(is_free, "rank_average", rule, average)

    def _check_init(self) -> None:
        known = [*INIT_SCHEDULES, *CALIBRATIONS, FROM_RUN, FIXED]
        require(self.init in known, "init", f"one of {', '.join(known)}", repr(self.init))
        given = self.init_values
        if self.init == "values":
            are_numbers = bool(given) and all(map(math.isfinite, given or ()))
            rule = "a list of finite numbers, one a matrix, with init=values"
            require(are_numbers, "init_values", rule, given)
            spread = max(given or ()) - min(given or ())
            rule = f"within {MOST_APART} of one another, beyond which a softmax is 0"
            require(spread <= MOST_APART, "init_values", rule, f"{spread:g} between two")
        else:
            require(given is None, "init_values", f"null with init={self.init}", given)

    def _check_alpha(self) -> None:
        for name in ("alpha_min", "alpha_max"):
            value = getattr(self, name)
            require(is_positive(value), name, "above 0 and finite", value)
        known = ", ".join(ALPHA_SCHEDULES)
        is_known = self.alpha_schedule in ALPHA_SCHEDULES
        require(is_known, "alpha_schedule", f"one of {known}", repr(self.alpha_schedule))

    def _check_budget(self) -> None:
        low, high = self.rank_min, self.rank_max
        for name in ("budget_start", "budget_end"):
            value = getattr(self, name)
            if value is None:
                continue
            require(is_positive(value), name, "above 0 and finite", value)
            holds = self.has_fixed_ranks or low <= value <= high
            within = f"within rank_min={low} ... rank_max={high}"
            require(holds, name, f"{within}, or the matrices can't hold or spend it", value)
        for name in ("budget_hold_epochs", "budget_move_epochs"):
            value = getattr(self, name)
            require(is_rate(value), name, "at least 0 and finite", value)
