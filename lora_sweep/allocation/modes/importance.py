"""No logits: ranks start at rank_max and are cut by the importance of what is trained."""

from dataclasses import dataclass
from typing import ClassVar

from lora_sweep.allocation.mode import Mode
from lora_sweep.rules import require


@dataclass(frozen=True, kw_only=True)
class Importance(Mode, name="importance"):
    """How a run cuts its ranks, from rank_max down to rank_average; see `allocation.importance`.

    Attributes:
        warmup_fraction: share of the steps before the budget falls.
        final_fraction: share of the steps after it has fallen.
        every: steps between two cuts.
        beta1, beta2: weights of the past in the averages of sensitivity and uncertainty.

    Source: AdaLoRA (arXiv 2303.10512).
    """

    takes_costs: ClassVar[bool] = True
    warmup_fraction: float
    final_fraction: float
    every: int
    beta1: float
    beta2: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("warmup_fraction", "final_fraction"):
            share = getattr(self, name)
            require(0 <= share <= 1, name, "within 0 ... 1", share)
        first, last = self.warmup_fraction, self.final_fraction
        rule = f"at most 1 - warmup_fraction={first:g}"
        require(first + last <= 1, "final_fraction", rule, last)
        require(self.every >= 1, "every", "at least 1", self.every)
        for name in ("beta1", "beta2"):
            beta = getattr(self, name)
            require(0 <= beta < 1, name, "within 0 ... 1 (1 excluded)", beta)
