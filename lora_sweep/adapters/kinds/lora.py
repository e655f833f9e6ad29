"""LoRA: a trained pair A (r, d_in), B (d_out, r) for each adapted matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lora_sweep.adapters.kind import AdapterKind, Shapes
from lora_sweep.vocabulary import EXPORT_KINDS

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lora_sweep.adapters.kind import Updater
    from lora_sweep.adapters.layer import AdaptedLinear, Factorise
    from lora_sweep.adapters.peft_files import LowRankUpdate

_A, _B = "A/", "B/"


@dataclass(frozen=True, kw_only=True)
class LoRA(AdapterKind, name="lora", label="LoRA"):
    """W + s B diag(m) A; a rank costs d_in + d_out a matrix.

    A starts uniform within +-1 / sqrt(d_in) (He's rule with a = sqrt 5), B zero, as PEFT's.

    Where ranks are learnt or cut, s is that of rank_max and stays: what is left of a matrix is
    multiplied by the same s however many ranks the mask keeps, as in AdaLoRA, whose scale is that
    of its first rank. Ours: that a soft mask or a cut changes no other component's size.

    Attributes:
        rslora: s = lora_alpha / sqrt(rank_max) instead of lora_alpha / rank_max.

    Source: LoRA (arXiv 2106.09685); rsLoRA (arXiv 2312.03732).
    """

    method: ClassVar[str] = "LoRA (arXiv 2106.09685): W + s B A; A and B are trained"
    learns_ranks: ClassVar[bool] = True
    rank_power: ClassVar[int] = 1
    idle: ClassVar[tuple[str, ...]] = ("model.factors",)
    exports: ClassVar[tuple[str, ...]] = EXPORT_KINDS
    parts: ClassVar[tuple[str, ...]] = ("A", "B")
    rslora: bool

    def scale(self, lora_alpha: float, rank_max: int) -> float:
        """Returns s."""
        return lora_alpha / (math.sqrt(rank_max) if self.rslora else rank_max)

    def rank_unit(self, shape: tuple[int, int]) -> int:
        """Returns d_out + d_in: a row of A and a column of B."""
        return sum(shape)

    def component_scores(self, entries: Mapping[str, Tensor]) -> Tensor:
        """Returns the mean over a row of A plus that over its column of B.

        Source: AdaLoRA (arXiv 2303.10512, equation 7), without the singular value that LoRA's pair
        does not have.
        """
        import torch

        names = [name.removeprefix(_A) for name in entries if name.startswith(_A)]
        both = [entries[_A + n].mean(dim=1) + entries[_B + n].mean(dim=0) for n in names]
        return torch.stack(both)

    def parameter_shapes(self, rank: int, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Returns those of A/MATRIX and B/MATRIX."""
        downs = ((_A + name, (rank, d_in)) for name, (_, d_in) in shapes.items())
        ups = ((_B + name, (d_out, rank)) for name, (d_out, _) in shapes.items())
        return dict([*downs, *ups])

    def largest(self, n_params: int, rank: int, shapes: Shapes) -> dict[str, int]:
        """Returns the largest rank with rank sum(d_in + d_out) <= n_params."""
        return {"rank": max(1, n_params // self.n_params(1, shapes))}

    def layer(self, linear: nn.Linear, factorise: Factorise) -> AdaptedLinear:
        """Returns the layer that waits for pairs; nothing is factorised."""
        from lora_sweep.adapters.lora_layer import LoRALinear

        return LoRALinear(linear)

    def start(self, rank: int, shapes: Shapes, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns A, drawn matrix by matrix in module order, and B, zero."""
        import torch

        start = {n: torch.zeros(shape) for n, shape in self.parameter_shapes(rank, shapes).items()}
        for name in shapes:
            torch.nn.init.kaiming_uniform_(start[_A + name], a=math.sqrt(5), generator=generator)
        return start

    def own(self, name: str, values: Tensor, rank: int) -> Tensor:
        """Returns the leading rows of an A, or columns of a B."""
        return values[..., :rank, :] if name.startswith(_A) else values[..., :rank]

    def updater(self, layers: Mapping[str, AdaptedLinear], rank: int) -> Updater:
        """Returns what makes the pairs A, s B diag(m); m is the masks' diagonal."""
        from lora_sweep.adapters.lora_layer import Pairs

        names, dtype = list(layers), next(iter(layers.values())).weight.dtype

        def updates(
            parameters: Mapping[str, Tensor], masks: Tensor, scale: Tensor
        ) -> tuple[Pairs, ...]:
            kept = scale[:, None, None] * masks.diagonal(dim1=-2, dim2=-1)  # (K, N, r)
            gates = kept.expand(-1, len(names), -1)[:, :, None].unbind(dim=1)  # N (K, 1, r)
            return tuple(
                Pairs(parameters[_A + name].to(dtype), (parameters[_B + name] * gate).to(dtype))
                for name, gate in zip(names, gates, strict=True)
            )

        return updates

    def trained(
        self, parameters: Mapping[str, Tensor], ranks: Mapping[str, int], rank: int
    ) -> dict[str, Tensor]:
        """Returns A/MATRIX (k, d_in) and B/MATRIX (d_out, k)."""
        names = [part + name for part in (_A, _B) for name in ranks]
        of = {part + name: k for part in (_A, _B) for name, k in ranks.items()}
        return {name: self.own(name, parameters[name], of[name]).clone() for name in names}

    def trained_updates(
        self,
        parts: Mapping[str, Tensor],
        layers: Mapping[str, AdaptedLinear],
        *,
        rank: int,
        scale: float,
    ) -> tuple[Any, ...]:
        """Returns the pairs A, s B, each of its matrix's rank."""
        from lora_sweep.adapters.lora_layer import Pairs

        dtype = next(iter(layers.values())).weight.dtype
        return tuple(
            Pairs(parts[_A + name][None].to(dtype), (scale * parts[_B + name][None]).to(dtype))
            for name in layers
        )

    def low_rank(
        self,
        parts: Mapping[str, Tensor],
        matrix: str,
        scale: float,
        factors: Callable[[], tuple[Tensor, Tensor]],
    ) -> LowRankUpdate:
        """Returns A and B as they are, with their scale beside them."""
        from lora_sweep.adapters.peft_files import LowRankUpdate

        pair = parts[_A + matrix].contiguous(), parts[_B + matrix].contiguous()
        return LowRankUpdate(matrix, *pair, scale=scale)
