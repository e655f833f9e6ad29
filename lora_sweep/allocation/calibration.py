"""Calibrations: ranks from the data before training, N matrices on some batches -> N ranks.

    scores = what is measured of every matrix, by a file of `allocation/calibrations/`
    ranks  = the scores' split of the budget, in whole ranks that spend it exactly

The ranks stay for the whole training, or the allocation logits start at them. To add one: a file
with its function, its entry in `CALIBRATIONS`, and `conf/init/NAME.yaml`.

Every command reads the names of the calibrations, so torch is loaded by those that compute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lora_sweep.allocation.apportioning import (
    ranks_by_components,
    ranks_by_share,
    ranks_that_spend,
)
from lora_sweep.allocation.calibration_inputs import CalibrationInputs
from lora_sweep.allocation.calibrations.activations import explained_variance_ratios
from lora_sweep.allocation.calibrations.fisher import mean_squared_gradients
from lora_sweep.allocation.calibrations.gora import mean_gradient_times_weight
from lora_sweep.allocation.costs import RankBudget

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """One way to have ranks from the data.

    Attributes:
        scores: what is measured, at least 0: (N, 1) for one a matrix, (N, rank_max) for one a
            matrix and rank, falling along the ranks; float64, on the CPU.
        split: scores, budget -> real-valued ranks (N,) within the bounds, about the budget.
    """

    scores: Callable[[CalibrationInputs], Tensor]
    split: Callable[[Tensor, RankBudget], list[float]]

    def ranks(self, scores: Tensor, budget: RankBudget) -> list[int]:
        """Returns the whole ranks (N) that scores give a budget, which they spend exactly.

        Args:
            scores: as `scores` gives them.
            budget: to spend.

        Raises:
            ValueError: a score is not finite, or the budget can't be spent within the bounds.
        """
        return ranks_that_spend(self.split(scores, budget), budget)


CALIBRATIONS: dict[str, Calibration] = {
    "fisher": Calibration(mean_squared_gradients, ranks_by_share),
    "activations": Calibration(explained_variance_ratios, ranks_by_components),
    "gora": Calibration(mean_gradient_times_weight, ranks_by_share),
}
"""Name, as `init` says it -> calibration."""
