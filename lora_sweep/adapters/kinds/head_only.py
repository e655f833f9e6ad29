"""The head alone: nothing is adapted, so that a sweep says what adapting is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lora_sweep.adapters.kind import AdapterKind, Shapes

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lora_sweep.adapters.kind import Updater
    from lora_sweep.adapters.layer import AdaptedLinear


@dataclass(frozen=True)
class HeadOnly(AdapterKind, name="head_only", label="head only"):
    """The frozen base as it is, with a trained head. Source: linear probing, with this head."""

    method: ClassVar[str] = "the frozen base as it is, under a trained head"
    has_matrices: ClassVar[bool] = False
    idle: ClassVar[tuple[str, ...]] = (
        *("rank.", "model.lora_alpha", "model.factors", "model.adapter_dropout", "model.adapted"),
        "learning_rate.adapter",
    )
    exports: ClassVar[tuple[str, ...]] = ("merged", "loraxs")

    def scale(self, lora_alpha: float, rank_max: int) -> float:
        """Returns 1: there is no update."""
        return 1.0

    def parameter_shapes(self, rank: int, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Returns none."""
        return {}

    def start(self, rank: int, shapes: Shapes, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns nothing."""
        return {}

    def updater(self, layers: Mapping[str, AdaptedLinear], rank: int) -> Updater:
        """Returns what gives no updates."""
        return lambda parameters, masks, scale: ()

    def trained(
        self, parameters: Mapping[str, Tensor], ranks: Mapping[str, int], rank: int
    ) -> dict[str, Tensor]:
        """Returns nothing."""
        return {}

    def trained_updates(
        self,
        parts: Mapping[str, Tensor],
        layers: Mapping[str, AdaptedLinear],
        *,
        rank: int,
        scale: float,
    ) -> tuple[Any, ...]:
        """Returns no updates."""
        return ()
