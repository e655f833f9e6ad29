"""LoRA-XS: frozen factors A and B of the weight, and a trained R (r, r) between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lora_sweep.adapters.kind import AdapterKind, Shapes
from lora_sweep.vocabulary import EXPORT_KINDS, LATENT

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lora_sweep.adapters.kind import Updater
    from lora_sweep.adapters.layer import AdaptedLinear, Factorise
    from lora_sweep.adapters.peft_files import LowRankUpdate

LATENT_STD = 1e-5


@dataclass(frozen=True)
class LoRAXS(AdapterKind, name="lora_xs", label="LoRA-XS"):
    """W + s B (M o R) A; R (N, r, r) starts as N(0, 1e-5^2). A rank k costs k^2 a matrix.

    Source: LoRA-XS (arXiv 2405.17604).
    """

    method: ClassVar[str] = (
        "LoRA-XS (arXiv 2405.17604): W + s B R A, with A and B from the SVD of W; R is trained"
    )
    learns_ranks: ClassVar[bool] = True
    has_factors: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = (LATENT,)
    exports: ClassVar[tuple[str, ...]] = EXPORT_KINDS

    def parameter_shapes(self, rank: int, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Returns that of R."""
        return {LATENT: (len(shapes), rank, rank)}

    def largest(self, n_params: int, rank: int, shapes: Shapes) -> dict[str, int]:
        """Returns the largest rank with N rank^2 <= n_params."""
        return {"rank": max(1, math.isqrt(n_params // len(shapes)))}

    def component_scores(self, entries: Mapping[str, Tensor]) -> Tensor:
        """Returns the mean over each shell of each R, the 2 m + 1 entries of larger index m."""
        return shell_means(entries[LATENT])

    def layer(self, linear: nn.Linear, factorise: Factorise) -> AdaptedLinear:
        """Returns the layer with frozen factors that waits for cores."""
        from lora_sweep.adapters.layer import LoRAXSLinear

        return LoRAXSLinear(linear, factorise)

    def start(self, rank: int, shapes: Shapes, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns R, N(0, 1e-5^2)."""
        import torch

        return {LATENT: LATENT_STD * torch.randn(len(shapes), rank, rank, generator=generator)}

    def own(self, name: str, values: Tensor, rank: int) -> Tensor:
        """Returns the leading square of each R."""
        return values[..., :rank, :rank]

    def updater(self, layers: Mapping[str, AdaptedLinear], rank: int) -> Updater:
        """Returns what makes the cores s (M o R)."""
        from lora_sweep.adapters.layer import cores_by_matrix

        dtype = _dtype(layers)

        def updates(
            parameters: Mapping[str, Tensor], masks: Tensor, scale: Tensor
        ) -> tuple[Tensor, ...]:
            return cores_by_matrix(parameters[LATENT], masks, scale, dtype=dtype)

        return updates

    def trained(
        self, parameters: Mapping[str, Tensor], ranks: Mapping[str, int], rank: int
    ) -> dict[str, Tensor]:
        """Returns R/MATRIX, R's leading square of the matrix's rank."""
        return leading_squares(parameters[LATENT], ranks)

    def trained_updates(
        self,
        parts: Mapping[str, Tensor],
        layers: Mapping[str, AdaptedLinear],
        *,
        rank: int,
        scale: float,
    ) -> tuple[Any, ...]:
        """Returns the cores s R (1, r, r), zero outside of the leading squares."""
        from torch.nn.functional import pad

        squares = [parts[f"{LATENT}/{name}"] for name in layers]
        cores = [pad(scale * one, (0, rank - len(one), 0, rank - len(one))) for one in squares]
        return tuple(core[None].to(_dtype(layers)) for core in cores)

    def low_rank(
        self,
        parts: Mapping[str, Tensor],
        matrix: str,
        scale: float,
        factors: Callable[[], tuple[Tensor, Tensor]],
    ) -> LowRankUpdate:
        """Returns s B R and A."""
        from lora_sweep.adapters.peft_files import low_rank_update

        core = scale * parts[f"{LATENT}/{matrix}"].double()
        return low_rank_update(matrix, factors(), core)


LORA_XS_KIND = LoRAXS()


def shell_means(entries: Tensor) -> Tensor:
    """Returns the mean of every shell's entries (..., r).

    Args:
        entries: of R (..., r, r).
    """
    import torch

    sums = entries.tril().sum(dim=-1) + entries.triu(1).sum(dim=-2)  # (..., r)
    m = torch.arange(sums.shape[-1], dtype=sums.dtype, device=sums.device)
    return sums / (2 * m + 1)


def leading_squares(R: Tensor, ranks: Mapping[str, int]) -> dict[str, Tensor]:
    """Returns R/MATRIX -> its leading square (k, k), for R (N, r, r) and ranks k by matrix."""
    both = zip(R, ranks.items(), strict=True)
    return {f"{LATENT}/{name}": own[:k, :k].clone() for own, (name, k) in both}


def _dtype(layers: Mapping[str, AdaptedLinear]) -> torch.dtype:
    """Of the encoder's products."""
    return next(iter(layers.values())).weight.dtype
