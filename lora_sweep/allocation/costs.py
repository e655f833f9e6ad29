"""What ranks cost, in parameters: rank k of matrix i costs unit_i k^power.

LoRA-XS trains k^2 entries of R whatever the matrix is like: power 2, units 1. LoRA trains
k (d_in + d_out): power 1, units d_in + d_out. A budget is stated as the rank that every matrix
would have if all had the same, its average:

    M_p = average^power sum_i unit_i

Source: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lora_sweep.rules import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class RankCosts:
    """What ranks cost in each of N matrices.

    Attributes:
        power: 1 for costs in proportion to the rank, 2 to its square.
        units: parameters that rank 1 costs, one a matrix (N), at least 1; None for 1 in each.

    Raises:
        ValueError: a value breaks its rule.
    """

    power: int = 2
    units: tuple[int, ...] | None = None
    _placed: dict[torch.device, Tensor] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require(self.power in (1, 2), "power", "1 or 2", self.power)
        least = min(self.units or (1,))
        require(least >= 1, "units", "at least 1", least)

    def unit(self, place: int) -> int:
        """Returns what rank 1 of a matrix costs, the first at place 0."""
        return 1 if self.units is None else self.units[place]

    def budget(self, average: float, n_matrices: int) -> float:
        """Returns M_p, what that rank in every one of N matrices costs."""
        total = n_matrices if self.units is None else sum(self.units)
        return float(total * average**self.power)

    def average(self, params: float, n_matrices: int) -> float:
        """Returns the rank that every one of N matrices has for that budget: `budget` undone."""
        return float((params / self.budget(1.0, n_matrices)) ** (1 / self.power))

    def spent(self, ranks: Sequence[int]) -> int:
        """Returns what ranks (N) cost."""
        return sum(self._of(place, rank) for place, rank in enumerate(ranks))

    def step(self, place: int, rank: int) -> int:
        """Returns what rank + 1 of a matrix costs more than rank."""
        return self._of(place, rank + 1) - self._of(place, rank)

    def _of(self, place: int, rank: int) -> int:
        return self.unit(place) * int(rank**self.power)

    def units_on(self, like: Tensor) -> Tensor:
        """Returns the units (N,), float64, on the device of a tensor (..., N).

        They are copied to a device once: a step finds them there.
        """
        import torch

        if self.units is None:
            return torch.ones(like.shape[-1], dtype=torch.float64, device=like.device)
        if like.device not in self._placed:
            units = torch.tensor(self.units, dtype=torch.float64, device=like.device)
            self._placed[like.device] = units
        return self._placed[like.device]

    def shells(self, m: Tensor) -> Tensor:
        """Returns what rank m + 1 costs more than rank m, in units: 2 m + 1, or 1."""
        return 2 * m + 1 if self.power == 2 else m * 0 + 1

    def roots(self, powers: Tensor) -> Tensor:
        """Returns the ranks whose `power`-th powers these are."""
        return powers.sqrt() if self.power == 2 else powers


SQUARES = RankCosts()
"""LoRA-XS's: rank k costs the k^2 entries of R, in every matrix."""


@dataclass(frozen=True)
class RankBudget:
    """What may be spent, and on which ranks.

    Attributes:
        params: M_p, in parameters, within what rank_min and what rank_max in all matrices cost.
        rank_min: least rank.
        rank_max: largest rank.
        costs: of the ranks.
    """

    params: float
    rank_min: int
    rank_max: int
    costs: RankCosts = SQUARES
