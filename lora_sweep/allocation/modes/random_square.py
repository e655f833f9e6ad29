"""No logits: every step trains one random leading square of all R; see `random_squares`."""

from dataclasses import dataclass
from typing import ClassVar

from lora_sweep.allocation.mode import Mode


@dataclass(frozen=True)
class RandomSquare(Mode, name="random_square"):
    """One rank for all matrices, drawn anew at every step; evaluated at rank_average.

    Source: DyLoRA (arXiv 2210.07558).
    """

    takes_costs: ClassVar[bool] = True
