"""What an allocation mode is, and which there are.

A mode is a frozen dataclass in a file of its own in `allocation/modes/`. Its fields are its
settings, with their rules in `__post_init__`; its methods say how a budget becomes ranks and
masks. No other file has to be told of it:

    @dataclass(frozen=True, kw_only=True)
    class Sharp(LogitMode, name="sharp"):       # Mode instead: without logits
        power: float                            # allocation.power=... on the command line

        def __post_init__(self) -> None:
            super().__post_init__()
            require(is_positive(self.power), "power", "above 0 and finite", self.power)

        def ranks(self, logits: Tensor, terms: Terms) -> Tensor: ...

Runs of a pack whose modes are equal, settings included, are computed together. Reading the modes
loads no torch, for every command reads them: a mode's methods import what computes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from lora_sweep.allocation import modes
from lora_sweep.allocation.costs import SQUARES, RankBudget, RankCosts
from lora_sweep.registry import make, named_classes
from lora_sweep.rules import is_rate, require

if TYPE_CHECKING:
    from torch import Tensor

TAU = "tau"


@dataclass(frozen=True)
class Terms:
    """What K runs turn their logits into ranks under, at one step; tensors (K,), float64.

    Attributes:
        budget_params: M_p, in parameters: entries of R, of LoRA-XS.
        alpha: sharpness of the soft mask.
        alpha_max: the largest alpha that the run will have.
        rank_min: least rank.
        rank_max: largest rank.
        r: rank that the adapters are stored at (R's size), at least every rank_max.
        costs: of the ranks, the same for all runs.
    """

    budget_params: Tensor
    alpha: Tensor
    alpha_max: Tensor
    rank_min: Tensor
    rank_max: Tensor
    r: int
    costs: RankCosts = SQUARES


@dataclass(frozen=True)
class Mode:
    """One way to allocate a rank budget.

    Attributes:
        name: as on the command line, `allocation=NAME`.
        has_logits: whether ranks follow trained logits.
        has_noise: whether its soft mask takes Gumbel noise.
        takes_costs: whether it keeps to a budget with any `RankCosts`; else with LoRA-XS's alone,
            and other kinds of adapters refuse it.
        tau: strength of that noise; 0 for none.

    Raises:
        ValueError: a setting breaks its rule.
    """

    name: ClassVar[str] = ""
    has_logits: ClassVar[bool] = False
    has_noise: ClassVar[bool] = False
    takes_costs: ClassVar[bool] = False
    tau: float = 0.0

    def __init_subclass__(cls, name: str = "", **kwargs: Any) -> None:
        """Names the mode."""
        super().__init_subclass__(**kwargs)
        cls.name = name

    def __post_init__(self) -> None:
        require(is_rate(self.tau), TAU, "at least 0 and finite", self.tau)
        if not self.has_noise:
            rule = f"0 with mode={self.name}, which has no noise"
            require(self.tau == 0, TAU, rule, self.tau)


@dataclass(frozen=True)
class LogitMode(Mode):
    """A mode whose ranks follow trained logits; masks and rounding are the usual ones."""

    has_logits: ClassVar[bool] = True

    def ranks(self, logits: Tensor, terms: Terms) -> Tensor:
        """Returns real-valued ranks (K, N), differentiable in the logits.

        Args:
            logits: allocation logits (K, N), float64.
            terms: of the runs.
        """
        raise NotImplementedError

    def logits(self, ranks: Tensor, terms: Terms) -> Tensor:
        """Returns logits (K, N) that have these ranks, with mean 0: what `ranks` undoes.

        w_i = log(ranks_i^p - rank_min^p) + constant, p of the costs: the inverse of
        `capped_ranks`. A mode that makes ranks in another way has an inverse of its own.

        Args:
            ranks: real-valued ranks (K, N), between rank_min and rank_max, that spend the budget.
            terms: of the runs.
        """
        p = terms.costs.power
        log_share = (ranks**p - terms.rank_min[:, None] ** p).log()
        return log_share - log_share.mean(dim=1, keepdim=True)

    @staticmethod
    def kept(logits: Tensor, ranks: Tensor, terms: Terms, noise: Tensor | None) -> Tensor:
        """Returns how much of every shell of R the soft mask keeps (K, N, r), float32.

        Modes that share this function are computed together.

        Args:
            logits: allocation logits (K, N), float64.
            ranks: that follow from them (K, N).
            terms: of the runs.
            noise: Gumbel noise (K, N, r); None for none.
        """
        from lora_sweep.allocation.masks import kept_shells

        return kept_shells(
            ranks.float(),
            terms.alpha.float(),
            rank_min=terms.rank_min,
            rank_max=terms.rank_max,
            r=terms.r,
            noise=noise,
        )

    def rounded(self, ranks: list[float], budget: RankBudget) -> list[int]:
        """Returns the integer ranks (N) of the discrete mask, within the budget.

        Args:
            ranks: real-valued ranks of one run (N).
            budget: of the run.
        """
        from lora_sweep.allocation.ranks import integer_ranks_within_budget

        return integer_ranks_within_budget(ranks, budget)


@cache
def allocation_modes() -> dict[str, type[Mode]]:
    """Returns name -> mode, of every file in `allocation/modes/`."""
    return named_classes(modes, Mode)


@cache
def modes_without_logits() -> tuple[str, ...]:
    """Returns the names of the modes that have no logits: their runs have them for an init."""
    return tuple(name for name, mode in allocation_modes().items() if not mode.has_logits)


def own_settings(mode: type[Mode]) -> list[str]:
    """Returns the settings that a mode has besides those of all modes."""
    return [field.name for field in fields(mode) if field.name != TAU]


def make_mode(name: str, settings: dict[str, Any]) -> Mode:
    """Returns the mode of that name.

    Args:
        name: one of `allocation_modes`.
        settings: name -> value; None for those of other modes. What is not there takes the
            mode's default.

    Raises:
        ValueError: there is no such mode, or a setting is missing, another mode's, or breaks its
            rule.
    """
    return make(allocation_modes(), "mode", name, settings)
