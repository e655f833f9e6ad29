"""What the ranks of a kind of adapter cost over some matrices."""

from lora_sweep.adapters.kind import AdapterKind, Shapes
from lora_sweep.allocation.costs import RankCosts


def rank_costs(kind: AdapterKind, shapes: Shapes) -> RankCosts:
    """Returns the costs of ranks, in parameters that the kind trains.

    Args:
        kind: of adapter.
        shapes: of the adapted matrices (N).
    """
    return RankCosts(kind.rank_power, tuple(map(kind.rank_unit, shapes.values())))
