"""A run's evaluations, and what follows from them: which epoch is reported, and its metric."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lora_sweep.metrics import is_possible, known_value
from lora_sweep.vocabulary import FIRST, SELECTION, SETTLED


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
        budget_params: rank budget in parameters: entries of R, of LoRA-XS.
        budget_over_cap_params: part of it that lies above rank_max and buys nothing.
        budget_spent_params: what the integer ranks cost: their squares' sum, of LoRA-XS.
        ranks: real-valued rank of every adapted matrix, in module order.
        integer_ranks: rounded rank of every adapted matrix.
        dev_loss: mean loss over the dev texts of the headline metric; None if it is not finite.
        selection_loss: the same over the selection split; None without one, too.
        settled: whether the rank budget is what it will be at the training's end.
        by_rank: rank -> headline metric with all matrices at that rank, at the training's end,
            with `allocation=random_square`; None else.
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
    dev_loss: float | None = None
    selection_loss: float | None = None
    settled: bool = True
    by_rank: dict[str, float | None] | None = None


def summary_of(
    epochs: Sequence[EpochRecord], metric: str, best_from: str = FIRST
) -> dict[str, Any]:
    """Returns what a run's record says of its evaluations, by the fields of `RunRecord`.

    Args:
        epochs: all of them, in order.
        metric: name of the headline metric.
        best_from: which of them count, as in `counted_epochs`.

    Raises:
        ValueError: an epoch has no value of it.
    """
    values = [known_value(epoch.metrics, metric) for epoch in epochs]
    counted = counted_epochs(epochs, best_from)
    best = best_epoch(counted, metric, on_selection=False)
    selected = chosen_epoch(counted, metric) if has_selection(epochs, metric) else None
    return {
        "best_metric": values[best - 1],
        "best_epoch": best,
        "final_metric": values[-1],
        "selected_metric": None if selected is None else values[selected - 1],
        "selected_epoch": selected,
    }


def counted_epochs(epochs: Sequence[EpochRecord], best_from: str) -> Sequence[EpochRecord]:
    """Returns the epochs that the best one is looked for among.

    Args:
        epochs: those so far, in order.
        best_from: `first` for all of them; `settled` for those at whose end the rank budget has
            settled, and for all until there is one.

    Source: ours.
    """
    settled = [epoch for epoch in epochs if epoch.settled]
    return settled if settled and best_from == SETTLED else epochs


def best_from_of(settings: Mapping[str, Any]) -> str:
    """Returns which epochs of a run count; all of them where the budget stays what it is.

    Args:
        settings: of the run.
    """
    return str(settings.get("training.best_from") or FIRST)


def chosen_epoch(epochs: Sequence[EpochRecord], metric: str) -> int:
    """Returns the epoch that is reported: best on the selection split, else on dev.

    Args:
        epochs: those that count, in order.
        metric: name of the headline metric.
    """
    return best_epoch(epochs, metric, on_selection=has_selection(epochs, metric))


def best_epoch(epochs: Sequence[EpochRecord], metric: str, *, on_selection: bool) -> int:
    """Returns the epoch with the highest metric; of equals, with the lowest loss; then the first.

    Args:
        epochs: those that count, in order.
        metric: name of the headline metric.
        on_selection: whether metric and loss are those of the selection split, instead of dev.
    """
    name = f"{metric}/{SELECTION}" if on_selection else metric

    def place(epoch: EpochRecord) -> tuple[float, float]:
        loss = epoch.selection_loss if on_selection else epoch.dev_loss
        return known_value(epoch.metrics, name), -math.inf if loss is None else -loss

    return max(epochs, key=place).epoch


def tie_words(epochs: Sequence[EpochRecord], metric: str) -> str:
    """Returns what decided between epochs whose metric on dev is the best; empty for one such.

    Args:
        epochs: those that count, in order.
        metric: name of the headline metric.
    """
    values = [known_value(epoch.metrics, metric) for epoch in epochs]
    equal = [epoch for epoch, value in zip(epochs, values, strict=True) if value == max(values)]
    if len(equal) == 1:
        return ""
    losses = [epoch.dev_loss for epoch in equal if epoch.dev_loss is not None]
    is_decided = bool(losses) and losses.count(min(losses)) == 1
    return f"{'lowest loss' if is_decided else 'first'} of {len(equal)} equal epochs"


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
