"""A run's evaluations, and what follows from them: which epoch is reported, and its metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lora_sweep.metrics import is_possible, known_value
from lora_sweep.vocabulary import SELECTION


@dataclass(frozen=True)
class EpochRecord:
    """One evaluation, at an epoch's end, with discrete masks.

    Attributes:
        epoch: 1 for the first.
        step: optimiser steps taken so far.
        train_loss: mean over the epoch's batches.
        metrics: name -> value, 0 to 1 (losses apart), None where the labels leave it undefined; on
            the whole dev set, on each of its parts (`matthews_correlation/in_domain`), and on the
            selection split (`.../selection`).
        alpha: sharpness of the soft mask after the epoch's last step; None for fixed ranks.
        budget_params: rank budget in entries of R.
        budget_over_cap_params: part of it that lies above rank_max and buys nothing.
        budget_spent_params: sum of squared integer ranks.
        ranks: real-valued rank of every adapted matrix, in module order.
        integer_ranks: rounded rank of every adapted matrix.
    """

    epoch: int
    step: int
    train_loss: float
    metrics: dict[str, float | None]
    alpha: float | None
    budget_params: float
    budget_over_cap_params: float
    budget_spent_params: int
    ranks: list[float]
    integer_ranks: list[int]


def summary_of(epochs: Sequence[EpochRecord], metric: str) -> dict[str, Any]:
    """Returns what a run's record says of its evaluations, by the fields of `RunRecord`.

    Args:
        epochs: all of them, in order.
        metric: name of the headline metric.

    Raises:
        ValueError: an epoch has no value of it.
    """
    values = [known_value(epoch.metrics, metric) for epoch in epochs]
    best = best_epoch(epochs, metric)
    selected = chosen_epoch(epochs, metric) if has_selection(epochs, metric) else None
    return {
        "best_metric": values[best - 1],
        "best_epoch": best,
        "final_metric": values[-1],
        "selected_metric": None if selected is None else values[selected - 1],
        "selected_epoch": selected,
    }


def chosen_epoch(epochs: Sequence[EpochRecord], metric: str) -> int:
    """Returns the epoch that is reported: best on the selection split, else on dev.

    Args:
        epochs: those so far, in order.
        metric: name of the headline metric.
    """
    is_selected = has_selection(epochs, metric)
    return best_epoch(epochs, f"{metric}/{SELECTION}" if is_selected else metric)


def best_epoch(epochs: Sequence[EpochRecord], metric: str) -> int:
    """Returns the first epoch with the highest value of a metric, 1 for the first."""
    values = [known_value(epoch.metrics, metric) for epoch in epochs]
    return 1 + values.index(max(values))


def has_selection(epochs: Sequence[EpochRecord], metric: str) -> bool:
    """Returns whether a split was held out to choose the epoch."""
    return f"{metric}/{SELECTION}" in epochs[0].metrics


def check_epochs(epochs: Sequence[EpochRecord], n_matrices: int) -> None:
    """Checks that evaluations can be those of a training.

    Args:
        epochs: all of them, in order.
        n_matrices: that have ranks.

    Raises:
        ValueError: they can't; the message names the epoch, the rule and the value.
    """
    numbers = [epoch.epoch for epoch in epochs]
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"epochs must be numbered from 1 on, but got {str(numbers)[:60]}")
    for epoch in epochs:
        for name, value in epoch.metrics.items():
            if value is not None and not is_possible(name, value):
                raise ValueError(
                    f"epoch {epoch.epoch} must have a {name} that can be, but got {value}"
                )
        if len(epoch.ranks) != n_matrices or len(epoch.integer_ranks) != n_matrices:
            raise ValueError(
                f"epoch {epoch.epoch} must have {n_matrices} ranks, but got another number"
            )
