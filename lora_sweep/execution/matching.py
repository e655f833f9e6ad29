"""`adapter.match`: the rank at which an adapter trains at most so many parameters."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from lora_sweep.config.run import RunConfig
from lora_sweep.config.schema import RankConfig
from lora_sweep.execution.inputs import base_folder, matrix_shapes
from lora_sweep.rules import require
from lora_sweep.vocabulary import LORA_XS


@dataclass(frozen=True)
class Match:
    """What `adapter.match` comes to.

    Attributes:
        config: of the cell, with the rank (or u) that fits, and without the wish.
        allowed: most parameters, without the head.
        n_params: that the adapter trains.
    """

    config: RunConfig
    allowed: int
    n_params: int

    @property
    def words(self) -> str:
        """What a log says of it."""
        kind, rank = self.config.adapter_kind(), self.config.rank.max
        own = f"u={kind.u}" if hasattr(kind, "u") else f"rank {rank}"
        rest = self.allowed - self.n_params
        return (
            f"adapter.match={self.allowed}: {kind.label} with {own} trains {self.n_params:,} "
            f"parameters without the head, {rest:,} fewer than allowed"
        )


def matched(config: RunConfig) -> RunConfig:
    """Returns a cell's config with the rank that `adapter.match` picks; itself without one.

    Raises:
        LoraSweepError: as in `match_of`.
    """
    match = match_of(config)
    return config if match is None else match.config


def match_of(config: RunConfig) -> Match | None:
    """Returns what `adapter.match` comes to; None without one.

    Args:
        config: of a cell.

    Raises:
        SettingError: not even the smallest such adapter is allowed, or nothing is adapted.
        BaseModelError: the base is not to be had.
    """
    if config.adapter.match is None:
        return None
    kind = config.adapter_kind()
    rule = f"null with adapter={kind.name}, which adapts nothing"
    require(kind.has_matrices, "adapter.match", rule, config.adapter.match)
    shapes = matrix_shapes(base_folder(config), tuple(config.model.adapted))
    allowed = _allowed(config, len(shapes))
    own = kind.largest(allowed, config.rank.max, shapes)
    found = _with(config, own)
    n_params = found.adapter_kind().n_params(found.rank.max, shapes)
    rule = f"at least {n_params}, what {kind.label} costs over {len(shapes)} matrices at the least"
    advice = f"{allowed}: name fewer of them in model.adapted"
    require(n_params <= allowed, "adapter.match", rule, advice)
    return Match(found, allowed, n_params)


def _allowed(config: RunConfig, n_matrices: int) -> int:
    """Most parameters: the number, or what the entries of R cost that rank.average pays for."""
    given = config.adapter.match
    assert given is not None
    return int(n_matrices * config.rank.average**2) if given == LORA_XS else int(given)


def _with(config: RunConfig, own: dict[str, int]) -> RunConfig:
    """The config with the settings that fit, and nothing left to match."""
    settings: dict[str, Any] = {"match": None, **own}
    rank = settings.pop("rank", None)
    adapter = dataclasses.replace(config.adapter, **settings)
    ranks = config.rank if rank is None else RankConfig(min=rank, max=rank, average=rank)
    return dataclasses.replace(config, adapter=adapter, rank=ranks)
