"""What a kind of adapter is, and which there are.

A kind is a frozen dataclass in a file of its own in `adapters/kinds/`. Its fields are its
settings, with their rules in `__post_init__`; its methods say what is trained, how it starts, and
what an adapted layer adds to the frozen one. No other file has to be told of it:

    @dataclass(frozen=True, kw_only=True)
    class Mine(AdapterKind, name="mine", label="Mine"):
        width: int                              # adapter.width=... on the command line

All runs of a pack have adapters of one kind, settings included. Its parameters come as a dict,
name -> values, for one run or with the run axis (K) first; the rank axes of each are found by
`own`. Reading the kinds loads no torch, for every command reads them: a kind's methods import what
computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from lora_sweep.adapters import kinds
from lora_sweep.registry import make, named_classes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lora_sweep.adapters.layer import AdaptedLinear, Factorise
    from lora_sweep.adapters.peft_files import LowRankUpdate

    Updater = Callable[[Mapping[str, Tensor], Tensor, Tensor], tuple[Any, ...]]
    """Parameters (K, ...), masks (K, N, r, r) and scales (K,) -> an update a layer (N)."""

Shapes = Mapping[str, tuple[int, int]]
"""Name of each adapted matrix, in module order -> its (d_out, d_in)."""


@dataclass(frozen=True)
class AdapterKind:
    """One way to adapt a frozen matrix.

    Attributes:
        name: as on the command line, `adapter=NAME`.
        label: what people call it.
        method: what it does, in a line with its source.
        learns_ranks: whether its ranks can be allocated; else they are fixed.
        rank_power: rank k of a matrix costs k^rank_power times what rank 1 does: 1 or 2.
        has_matrices: whether it adapts any; else the head alone is trained.
        has_factors: whether frozen factors are made of the weights.
        matches_rank: whether it is its rank that `largest` says.
        nests: whether a rank's factors are the leading part of a larger one's, so that runs of
            several ranks can share a pack.
        idle: settings, or starts of their names, that have no effect on it.
        parts: what it trains of a matrix, as `trained` calls them.
        exports: kinds of exports that can hold what it trained.

    Raises:
        ValueError: a setting breaks its rule.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    method: ClassVar[str] = ""
    learns_ranks: ClassVar[bool] = False
    rank_power: ClassVar[int] = 2
    has_matrices: ClassVar[bool] = True
    has_factors: ClassVar[bool] = False
    matches_rank: ClassVar[bool] = True
    nests: ClassVar[bool] = True
    idle: ClassVar[tuple[str, ...]] = ()
    parts: ClassVar[tuple[str, ...]] = ()
    exports: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, name: str = "", label: str = "", **kwargs: Any) -> None:
        """Names the kind."""
        super().__init_subclass__(**kwargs)
        cls.name, cls.label = name, label

    def scale(self, lora_alpha: float, rank_max: int) -> float:
        """Returns the factor s on the update, lora_alpha / rank_max."""
        return lora_alpha / rank_max

    def rank_unit(self, shape: tuple[int, int]) -> int:
        """Returns how many parameters rank 1 of a matrix costs; 1, of an R.

        Args:
            shape: of the matrix, (d_out, d_in).
        """
        return 1

    def component_scores(self, entries: Mapping[str, Tensor]) -> Tensor:
        """Returns a score for what each rank has more than the one before it (N, r).

        Args:
            entries: name of a parameter -> score of each of its entries, of one run.
        """
        raise NotImplementedError

    def n_params(self, rank: int, shapes: Shapes) -> int:
        """Returns how many parameters are trained, without the head.

        Args:
            rank: that the adapter is stored at.
            shapes: of the adapted matrices.
        """
        return sum(math.prod(shape) for shape in self.parameter_shapes(rank, shapes).values())

    def parameter_shapes(self, rank: int, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Returns name -> shape of all that is trained, without the head; arguments as above."""
        raise NotImplementedError

    def largest(self, n_params: int, rank: int, shapes: Shapes) -> dict[str, int]:
        """Returns the settings of the largest such adapter of at most so many parameters.

        `rank` for its rank, else a setting of its own; each at least 1, whatever it costs.

        Args:
            n_params: most parameters, without the head.
            rank: that its settings have now.
            shapes: of the adapted matrices.
        """
        raise NotImplementedError

    def layer(self, linear: nn.Linear, factorise: Factorise) -> AdaptedLinear:
        """Returns the layer that takes a linear layer's place.

        Args:
            linear: the layer to adapt.
            factorise: W (d_out, d_in) -> frozen factors A (r, d_in), B (d_out, r).
        """
        raise NotImplementedError

    def start(self, rank: int, shapes: Shapes, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns a run's starting values, name -> values of `parameter_shapes`.

        Args:
            rank: that the adapter is stored at.
            shapes: of the adapted matrices.
            generator: of the run's seed.
        """
        raise NotImplementedError

    def own(self, name: str, values: Tensor, rank: int) -> Tensor:
        """Returns the view of a parameter that belongs to a rank, with leading axes kept.

        Args:
            name: of the parameter.
            values: (..., as in `parameter_shapes` for some rank at least as large).
            rank: at most that.
        """
        return values

    def updater(self, layers: Mapping[str, AdaptedLinear], rank: int) -> Updater:
        """Returns what turns a pack's parameters into updates of its layers.

        Args:
            layers: name -> adapted layer, in module order.
            rank: that the pack's parameters are stored at.
        """
        raise NotImplementedError

    def trained(
        self, parameters: Mapping[str, Tensor], ranks: Mapping[str, int], rank: int
    ) -> dict[str, Tensor]:
        """Returns what a run trained, cut to the ranks that its matrices have in the end.

        Args:
            parameters: of the run.
            ranks: name -> rank of every adapted matrix, in module order.
            rank: that the run's parameters are stored at.

        Returns:
            `PART/MATRIX` -> values.
        """
        raise NotImplementedError

    def trained_updates(
        self,
        parts: Mapping[str, Tensor],
        layers: Mapping[str, AdaptedLinear],
        *,
        rank: int,
        scale: float,
    ) -> tuple[Any, ...]:
        """Returns the updates of one run (K = 1), a layer each, by what `trained` gave.

        Args:
            parts: as from `trained`.
            layers: name -> adapted layer, in module order.
            rank: that the run's parameters were stored at.
            scale: s.
        """
        raise NotImplementedError

    def low_rank(
        self,
        parts: Mapping[str, Tensor],
        matrix: str,
        scale: float,
        factors: Callable[[], tuple[Tensor, Tensor]],
    ) -> LowRankUpdate:
        """Returns the update of one matrix as LoRA's pair of factors.

        Args:
            parts: as from `trained`.
            matrix: its name.
            scale: s.
            factors: gives the matrix's frozen factors A (r, d_in) and B (d_out, r), by the run's
                recipe.
        """
        raise NotImplementedError


@cache
def adapter_kinds() -> dict[str, type[AdapterKind]]:
    """Returns name -> kind, of every file in `adapters/kinds/`."""
    return named_classes(kinds, AdapterKind)


def kind_settings(kind: type[AdapterKind]) -> list[str]:
    """Returns the settings that a kind has."""
    return [field.name for field in fields(kind)]


def make_kind(name: str, settings: Mapping[str, Any]) -> AdapterKind:
    """Returns the kind of that name.

    Args:
        name: one of `adapter_kinds`.
        settings: name -> value; None for those of other kinds.

    Raises:
        ValueError: there is no such kind, or a setting is missing, another kind's, or breaks its
            rule.
    """
    return make(adapter_kinds(), "kind", name, settings)
