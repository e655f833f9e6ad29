"""The headline metric over the rank, of runs that train random squares of R.

All matrices of a run have the same rank, one after the other of its range, with R and head as they
are: what the run would be worth at any budget.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lora_sweep.allocation.masks import discrete_masks
from lora_sweep.metrics import metric_values
from lora_sweep.training.outputs import predictions, text_outputs
from lora_sweep.training.pack import Pack
from lora_sweep.training.parameters import head_part

RankCurve = dict[str, float | None]
"""Rank, in digits as JSON has keys -> metric, None where it is undefined."""


@torch.no_grad()
def rank_curves(pack: Pack, wants_stop: Callable[[], bool]) -> dict[int, RankCurve]:
    """Returns row -> metric at every rank of the run's range, of the rows with random squares.

    Args:
        pack: the runs; their encoder is in evaluation mode.
        wants_stop: as in `evaluate`.

    Raises:
        EvaluationStoppedError: it said so.
    """
    plans = [plan.allocation for plan in pack.plans]
    rows = [row for row, plan in enumerate(plans) if plan.has_random_squares]
    ranks = {rank for row in rows for rank in range(plans[row].rank_min, plans[row].rank_max + 1)}
    curves: dict[int, RankCurve] = {row: {} for row in rows}
    for rank in sorted(ranks):
        own = [row for row in rows if plans[row].rank_min <= rank <= plans[row].rank_max]
        for row, value in zip(own, _metrics_at(pack, own, rank, wants_stop), strict=True):
            curves[row][str(rank)] = value
    return curves


def _metrics_at(
    pack: Pack, rows: list[int], rank: int, wants_stop: Callable[[], bool]
) -> list[float | None]:
    """The headline metric of some rows with all matrices at one rank."""
    texts, encoder = pack.texts, pack.encoder
    index = torch.tensor(rows, device=pack.shared.device)
    ranks = torch.full((len(rows), len(encoder.layers)), rank, device=pack.shared.device)
    masks = discrete_masks(ranks, pack.allocator.r)
    own = {name: part[index] for name, part in pack.parameters.items()}
    updates, heads = pack.updates_of(own, masks, pack.lora_scale[index]), head_part(own)
    size = pack.shared.evaluation_batch_size

    def predicted(part: str) -> Tensor:
        """Outputs of those rows (K', n, n_labels)."""
        return text_outputs(
            encoder, texts.dev[part], updates, heads, batch_size=size, wants_stop=wants_stop
        )

    outputs = torch.cat([predicted(part) for part in texts.headline_parts], dim=1)
    found = predictions(outputs, is_regression=texts.is_regression)  # (K', n)
    labels = np.concatenate([texts.dev[part].labels.numpy() for part in texts.headline_parts])
    metric = texts.metrics[0]
    return [metric_values((metric,), own, labels)[metric] for own in found]
