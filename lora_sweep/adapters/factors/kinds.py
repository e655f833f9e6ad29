"""The kinds of frozen factors, a row each, and which of them a run has."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.factors.orthogonal import orthogonal_factors
from lora_sweep.adapters.factors.random_b import random_b_factors
from lora_sweep.adapters.factors.random_both import random_factors
from lora_sweep.adapters.factors.randomised import randomised_factors
from lora_sweep.rules import require
from lora_sweep.vocabulary import EXACT

Factors = tuple[Tensor, Tensor]
"""A (r, d_in) and B (d_out, r)."""


@dataclass(frozen=True)
class FactorKind:
    """One way to make the factors of a weight.

    Attributes:
        make: weight W (d_out, d_in), rank, seed -> A (rank, d_in), B (d_out, rank), float32.
        nests: whether the leading rows of A and columns of B are the factors of a smaller rank,
            so that one factorisation serves every rank; else each rank has its own.
        is_seeded: whether the seed changes them.
    """

    make: Callable[[Tensor, int, int], Factors]
    nests: bool
    is_seeded: bool


KINDS = {
    EXACT: FactorKind(lambda weight, rank, _: svd_factors(weight, rank), True, False),
    "randomised": FactorKind(randomised_factors, nests=False, is_seeded=True),
    "random": FactorKind(random_factors, nests=True, is_seeded=True),
    "random_b": FactorKind(random_b_factors, nests=True, is_seeded=True),
    "orthogonal": FactorKind(orthogonal_factors, nests=True, is_seeded=True),
}
"""Name, as `model.factors` says it -> kind. `ModelConfig` lists the names too."""


@dataclass(frozen=True)
class Recipe:
    """Which factors a run has; equal recipes make equal factors of equal weights.

    Attributes:
        kind: one of `KINDS`.
        seed: of kinds that draw; None for the others, whatever was given.

    Raises:
        ValueError: there is no such kind, or it draws and has no seed.
    """

    kind: str = EXACT
    seed: int | None = None

    def __post_init__(self) -> None:
        require(self.kind in KINDS, "factors", f"one of {', '.join(KINDS)}", repr(self.kind))
        if not self.traits.is_seeded:
            object.__setattr__(self, "seed", None)
        rule = f"given with factors={self.kind}"
        require(self.seed is not None or not self.traits.is_seeded, "factors_seed", rule, None)

    @property
    def traits(self) -> FactorKind:
        """What its kind is like."""
        return KINDS[self.kind]

    @property
    def nest(self) -> bool:
        """Whether its factors nest, as `FactorKind.nests` says."""
        return self.traits.nests

    @property
    def label(self) -> str:
        """Its name in a cache's files: `exact`, `randomised-42`."""
        return self.kind if self.seed is None else f"{self.kind}-{self.seed}"

    def make(self, weight: Tensor, rank: int) -> Factors:
        """Returns A (rank, d_in) and B (d_out, rank), float32, on the weight's device.

        Raises:
            ValueError: the rank is out of range, or the weight is not finite.
        """
        return self.traits.make(weight, rank, self.seed or 0)


EXACT_RECIPE = Recipe()
