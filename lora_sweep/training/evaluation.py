"""Predictions of all runs of a pack with discrete masks, and the metrics they give."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lora_sweep.allocation.ranks import budget_over_cap
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.metrics import Array, metric_values
from lora_sweep.training.losses import run_losses
from lora_sweep.training.outputs import predictions, text_outputs
from lora_sweep.training.pack import Pack
from lora_sweep.training.rank_curves import RankCurve, rank_curves
from lora_sweep.vocabulary import SELECTION


@dataclass(frozen=True)
class Evaluation:
    """One run's evaluation at an epoch's end.

    Attributes:
        epoch: 1 for the first.
        step: optimiser steps taken so far.
        train_loss: mean over the epoch's steps.
        metrics: name -> value, None where it is undefined; without a suffix over the headline
            parts, `/PART` for each dev part where there are several, `/selection` on the selection
            split.
        predictions: dev part -> predicted label or value of each text (n,).
        alpha: sharpness of the soft mask; None for a run without logits.
        budget_params, budget_over_cap_params, budget_spent_params: the rank budget, what of it
            lies over rank_max, and what the integer ranks spend, in parameters.
        ranks, integer_ranks: of every adapted matrix (N).
        dev_loss: mean loss over the texts of the headline parts; None if it is not finite.
        selection_loss: the same over the selection split; None without one, too.
        settled: whether the rank budget is what it will be at the training's end.
        by_rank: rank -> headline metric with all matrices at that rank, at the training's end,
            of a run that trains random squares; None for others, and before.
    """

    epoch: int
    step: int
    train_loss: float
    metrics: dict[str, float | None]
    predictions: dict[str, Array]
    alpha: float | None
    budget_params: float
    budget_over_cap_params: float
    budget_spent_params: int
    ranks: list[float]
    integer_ranks: list[int]
    dev_loss: float | None = None
    selection_loss: float | None = None
    settled: bool = True
    by_rank: RankCurve | None = None


@torch.no_grad()
def evaluate(
    pack: Pack,
    *,
    epoch: int,
    train_losses: list[float],
    wants_stop: Callable[[], bool] = lambda: False,
) -> list[Evaluation]:
    """Returns the evaluation of every run that is left in the pack.

    Args:
        pack: the runs; their encoder is left in evaluation mode.
        epoch: 1 for the first.
        train_losses: mean training loss of every run over the epoch.
        wants_stop: whether to end now; asked before every batch, so it must be quick.

    Raises:
        EvaluationStoppedError: it said so.
    """
    allocator, step = pack.allocator, pack.step
    ranks = allocator.ranks(pack.logits, step)  # (K, N)
    integer_ranks = allocator.integer_ranks(ranks, step)
    masks = allocator.discrete_masks(ranks, step)
    updates = pack.updates(masks)
    pack.encoder.evaluation_mode()
    parts = dict(pack.texts.dev)
    if pack.texts.selection is not None:
        parts[SELECTION] = pack.texts.selection
    outputs = {name: _outputs(pack, texts, updates, wants_stop) for name, texts in parts.items()}
    predicted = {
        name: predictions(own, is_regression=pack.texts.is_regression)
        for name, own in outputs.items()
    }
    dev_losses = _losses(pack, outputs, pack.texts.headline_parts)
    selection_losses = _losses(pack, outputs, (SELECTION,) if SELECTION in parts else ())
    over_cap = budget_over_cap(ranks, _rank_max(pack, ranks), allocator.costs).tolist()
    schedules = allocator.schedules
    alphas, budgets = schedules.alpha(step), schedules.budget_params(step)
    settled = schedules.is_settled(step)
    curves = rank_curves(pack, wants_stop) if epoch == pack.length.n_epochs else {}
    return [
        Evaluation(
            epoch=epoch,
            step=step,
            train_loss=train_losses[k],
            metrics=_metrics(pack, {name: rows[k] for name, rows in predicted.items()}),
            predictions={name: predicted[name][k] for name in pack.texts.dev},
            alpha=alphas[k],
            budget_params=budgets[k],
            budget_over_cap_params=over_cap[k],
            budget_spent_params=allocator.costs.spent(integer_ranks[k]),
            ranks=ranks[k].tolist(),
            integer_ranks=integer_ranks[k],
            dev_loss=dev_losses[k],
            selection_loss=selection_losses[k],
            settled=settled[k],
            by_rank=curves.get(k),
        )
        for k in range(len(pack.runs))
    ]


def _outputs(
    pack: Pack,
    texts: TokenisedTexts,
    updates: tuple[Any, ...],
    wants_stop: Callable[[], bool],
) -> Tensor:
    """Outputs of all runs (K, n, n_labels)."""
    return text_outputs(
        pack.encoder,
        texts,
        updates,
        pack.parameters,
        batch_size=pack.shared.evaluation_batch_size,
        wants_stop=wants_stop,
    )


def _losses(pack: Pack, outputs: Mapping[str, Tensor], parts: Sequence[str]) -> list[float | None]:
    """Mean loss of every run over the texts of some parts together; None where not finite."""
    if not parts:
        return [None] * len(pack.runs)
    split = {**pack.texts.dev, SELECTION: pack.texts.selection}
    labels = torch.cat([one.labels for part in parts if (one := split[part]) is not None])
    together = torch.cat([outputs[part] for part in parts], dim=1)  # (K, n, n_labels)
    shared = labels.to(together.device).expand(len(together), -1)
    losses = run_losses(together, shared).tolist()
    return [loss if math.isfinite(loss) else None for loss in losses]


def _metrics(pack: Pack, predicted: dict[str, Array]) -> dict[str, float | None]:
    """All metrics of one run from its predictions by part."""
    texts = pack.texts
    labels = {name: part.labels.numpy() for name, part in texts.dev.items()}
    headline = texts.headline_parts
    values = metric_values(
        texts.metrics,
        np.concatenate([predicted[name] for name in headline]),
        np.concatenate([labels[name] for name in headline]),
    )
    if len(texts.dev) > 1:
        for name in texts.dev:
            values |= metric_values(
                texts.metrics, predicted[name], labels[name], suffix=f"/{name}"
            )
    if texts.selection is not None:
        values |= metric_values(
            texts.metrics,
            predicted[SELECTION],
            texts.selection.labels.numpy(),
            suffix=f"/{SELECTION}",
        )
    return values


def _rank_max(pack: Pack, like: Tensor) -> Tensor:
    return torch.tensor([plan.rank_max for plan in pack.plans]).to(like)
