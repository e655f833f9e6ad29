"""No logits: ranks start at rank_max and are cut by the importance of R's entries."""

from dataclasses import dataclass

from lora_sweep.allocation.mode import Mode
from lora_sweep.rules import require


@dataclass(frozen=True)
class Importance(Mode, name="importance"):
    """How a run cuts its ranks, from rank_max down to rank_average; see `allocation.importance`.

    Attributes:
        warmup_fraction: share of the steps before the budget falls.
        final_fraction: share of the steps after it has fallen.
        every: steps between two cuts.
        beta1, beta2: weights of the past in the averages of sensitivity and uncertainty.

    Source: AdaLoRA (arXiv 2303.10512).
    """

    warmup_fraction: float | None = None
    final_fraction: float | None = None
    every: int | None = None
    beta1: float | None = None
    beta2: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("warmup_fraction", "final_fraction"):
            share = getattr(self, name)
            require(share is not None and 0 <= share <= 1, name, "within 0 ... 1", share)
        first, last = self.warmup_fraction or 0.0, self.final_fraction or 0.0
        rule = f"at most 1 - warmup_fraction={first:g}"
        require(first + last <= 1, "final_fraction", rule, last)
        require(self.every is not None and self.every >= 1, "every", "at least 1", self.every)
        for name in ("beta1", "beta2"):
            beta = getattr(self, name)
            is_weight = beta is not None and 0 <= beta < 1
            require(is_weight, name, "within 0 ... 1 (1 excluded)", beta)
