"""`adapter.match`: the rank at which an adapter trains at most so many parameters.

Where ranks are learnt or cut, it is their average: the rank budget is so many parameters.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from lora_sweep.adapters.kind import Shapes
from lora_sweep.config.run import RunConfig
from lora_sweep.config.schema import RankConfig
from lora_sweep.execution.inputs import base_folder, matrix_shapes
from lora_sweep.rules import require
from lora_sweep.training.costs import rank_costs
from lora_sweep.vocabulary import LORA_XS


@dataclass(frozen=True)
class Match:
    """What `adapter.match` comes to.

    Attributes:
        config: of the cell, with the rank (or u, or average rank) that fits, and without the wish.
        allowed: most parameters, without the head.
        n_params: that the adapter trains; that the rank budget pays for, where there is one.
        is_average: whether it is the average rank that fits.
    """

    config: RunConfig
    allowed: int
    n_params: int
    is_average: bool = False

    @property
    def words(self) -> str:
        """What a log says of it."""
        kind, rank = self.config.adapter_kind(), self.config.rank
        rest = f"{self.allowed - self.n_params:,} fewer than allowed"
        if self.is_average:
            own = f"ranks {rank.min} ... {rank.max}, {rank.average:.4g} on average,"
            what = f"{own} has a budget of {self.n_params:,} parameters"
        else:
            own = f"u={kind.u}" if hasattr(kind, "u") else f"rank {rank.max}"
            what = f"{own} trains {self.n_params:,} parameters without the head"
        return f"adapter.match={self.allowed}: {kind.label} with {what}, {rest}"


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
        SettingError: not even the smallest such adapter is allowed, no budget within the rank
            range is so large, the budget moves, or nothing is adapted.
        BaseModelError: the base is not to be had.
    """
    if config.adapter.match is None:
        return None
    kind = config.adapter_kind()
    rule = f"null with adapter={kind.name}, which adapts nothing"
    require(kind.has_matrices, "adapter.match", rule, config.adapter.match)
    shapes = matrix_shapes(base_folder(config), tuple(config.model.adapted))
    allowed = _allowed(config, len(shapes))
    if kind.learns_ranks and (not config.has_fixed_ranks or config.calibrates):
        return _match_of_average(config, allowed, shapes)
    own = kind.largest(allowed, config.rank.max, shapes)
    found = _with(config, own)
    n_params = found.adapter_kind().n_params(found.rank.max, shapes)
    rule = f"at least {n_params}, what {kind.label} costs over {len(shapes)} matrices at the least"
    advice = f"{allowed}: name fewer of them in model.adapted"
    require(n_params <= allowed, "adapter.match", rule, advice)
    return Match(found, allowed, n_params)


def _match_of_average(config: RunConfig, allowed: int, shapes: Shapes) -> Match:
    """The same where the average rank is what fits."""
    kind, rank = config.adapter_kind(), config.rank
    budget = config.budget
    is_constant = budget.start_average == budget.end_average == rank.average
    rule = "null with a budget that is not rank.average throughout"
    require(is_constant, "adapter.match", rule, allowed)
    costs = rank_costs(kind, shapes)
    least, most = (int(costs.budget(one, len(shapes))) for one in (rank.min, rank.max))
    said = f"what {kind.label} costs over {len(shapes)} matrices with"
    rule = f"at least {least}, {said} rank.min={rank.min}"
    require(allowed >= least, "adapter.match", rule, allowed)
    rule = f"at most {most}, {said} rank.max={rank.max}"
    require(allowed <= most, "adapter.match", rule, allowed)
    average = costs.average(allowed, len(shapes))
    if config.allocation_plan().has_random_squares:
        average = math.floor(average)  # all matrices have it in evaluations
    found = dataclasses.replace(
        config,
        adapter=dataclasses.replace(config.adapter, match=None),
        rank=dataclasses.replace(rank, average=average),
        budget=dataclasses.replace(budget, start_average=average, end_average=average),
    )
    n_params = math.floor(costs.budget(average, len(shapes)) + 1e-6)
    return Match(found, allowed, n_params, is_average=True)


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
