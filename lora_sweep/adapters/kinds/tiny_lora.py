"""TinyLoRA: frozen factors as LoRA-XS's, and between them a mixture of fixed random matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from lora_sweep.adapters.kind import Shapes
from lora_sweep.adapters.kinds.lora_xs import LoRAXS, leading_squares
from lora_sweep.rules import MOST_SEED, require_count
from lora_sweep.vocabulary import CLASSIFIER_KINDS

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lora_sweep.adapters.kind import Updater
    from lora_sweep.adapters.layer import AdaptedLinear, Factorise
    from lora_sweep.adapters.peft_files import LowRankUpdate

_V = "v"
_MOST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class TinyLoRA(LoRAXS, name="tiny_lora", label="TinyLoRA"):
    """W + B (M o R) A with R = sum of v_i P_i, i = 1 ... u; each matrix has v (u,) of its own.

    v starts at zero, P_i are N(0, 1 / r) draws, fixed, the same for all runs, and B and A share
    the weight's singular values evenly: U S^1/2 and S^1/2 V. There is no scale on the update. As
    PEFT's without weight tying.

    Attributes:
        u: length of v, what a matrix costs.
        projection_seed: of P; plus the matrix's place for each.

    Source: TinyLoRA (arXiv 2602.04118).
    """

    method: ClassVar[str] = (
        "TinyLoRA (arXiv 2602.04118): W + B R A, with A and B from the SVD of W and R a mixture "
        "of fixed random matrices; its weights are trained"
    )
    learns_ranks: ClassVar[bool] = False
    matches_rank: ClassVar[bool] = False
    nests: ClassVar[bool] = False
    idle: ClassVar[tuple[str, ...]] = ("model.lora_alpha",)
    exports: ClassVar[tuple[str, ...]] = CLASSIFIER_KINDS
    u: int
    projection_seed: int

    def __post_init__(self) -> None:
        require_count("u", self.u, 1, _MOST)
        require_count("projection_seed", self.projection_seed, 0, MOST_SEED // 2)

    def scale(self, lora_alpha: float, rank_max: int) -> float:
        """Returns 1."""
        return 1.0

    def parameter_shapes(self, rank: int, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Returns that of v (N, u)."""
        return {_V: (len(shapes), self.u)}

    def largest(self, n_params: int, rank: int, shapes: Shapes) -> dict[str, int]:
        """Returns the largest u with N u <= n_params; the rank stays."""
        return {"u": max(1, n_params // len(shapes))}

    def layer(self, linear: nn.Linear, factorise: Factorise) -> AdaptedLinear:
        """Returns LoRA-XS's layer, with factors of even lengths."""
        return super().layer(linear, lambda weight: balanced(*factorise(weight)))

    def start(self, rank: int, shapes: Shapes, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns v, zero."""
        import torch

        return {_V: torch.zeros(len(shapes), self.u)}

    def own(self, name: str, values: Tensor, rank: int) -> Tensor:
        """Returns v itself: it has no rank axis."""
        return values

    def updater(self, layers: Mapping[str, AdaptedLinear], rank: int) -> Updater:
        """Returns what makes the cores M o sum of v_i P_i."""
        from lora_sweep.adapters.layer import cores_by_matrix

        weight = next(iter(layers.values())).weight
        P = self.projections(len(layers), rank).to(weight.device)

        def updates(
            parameters: Mapping[str, Tensor], masks: Tensor, scale: Tensor
        ) -> tuple[Tensor, ...]:
            return cores_by_matrix(mixture(parameters[_V], P), masks, scale, dtype=weight.dtype)

        return updates

    def projections(self, n_matrices: int, rank: int) -> Tensor:
        """Returns the fixed matrices P (N, u, r, r), on the CPU."""
        return _projections(n_matrices, self.u, rank, self.projection_seed)

    def trained(
        self, parameters: Mapping[str, Tensor], ranks: Mapping[str, int], rank: int
    ) -> dict[str, Tensor]:
        """Returns R/MATRIX, as of LoRA-XS: R's leading square of the matrix's rank."""
        R = mixture(parameters[_V][None], self.projections(len(ranks), rank))[0]
        return leading_squares(R, ranks)

    def low_rank(
        self,
        parts: Mapping[str, Tensor],
        matrix: str,
        scale: float,
        factors: Callable[[], tuple[Tensor, Tensor]],
    ) -> LowRankUpdate:
        """Returns B R and A."""
        return super().low_rank(parts, matrix, scale, lambda: balanced(*factors()))


def mixture(v: Tensor, P: Tensor) -> Tensor:
    """Returns R = sum of v_i P_i (K, N, r, r).

    Args:
        v: (K, N, u).
        P: (N, u, r, r).
    """
    import torch

    return torch.einsum("knu,nuab->knab", v, P)


def balanced(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Returns factors with the same product B A, whose rows and columns are equally long.

    Args:
        A: (r, d_in).
        B: (d_out, r).
    """
    import torch

    of_a, of_b = torch.linalg.vector_norm(A, dim=1), torch.linalg.vector_norm(B, dim=0)  # (r,)
    ratio = torch.where((of_a > 0) & (of_b > 0), of_b / of_a, 1.0).sqrt()
    return A * ratio[:, None], B / ratio


@lru_cache(maxsize=4)
def _projections(n_matrices: int, u: int, rank: int, seed: int) -> Tensor:
    import torch

    def draw(place: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed + place)
        return torch.normal(0.0, rank**-0.5, (u, rank, rank), generator=generator)

    return torch.stack([draw(place) for place in range(n_matrices)])
