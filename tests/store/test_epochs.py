"""What is said of the epoch that a run reports."""

from dataclasses import replace

import pytest

from lora_sweep.store.epochs import (
    EpochRecord,
    best_epoch,
    best_from_of,
    counted_epochs,
    summary_of,
    tie_words,
)


def trained(values: list[float], losses: list[float | None]) -> list[EpochRecord]:
    """A training with these accuracies and losses on dev."""
    return [
        EpochRecord(n, n, 0.5, {"accuracy": value}, None, 9.0, 0.0, 9, [3.0], [3], loss)
        for n, (value, loss) in enumerate(zip(values, losses, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("values", "losses", "best", "said"),
    [
        ([0.4, 0.9, 0.8], [0.1, 0.2, 0.3], 2, ""),
        ([1.0, 1.0, 1.0], [0.7, 0.5, 0.3], 3, "lowest loss of 3 equal epochs"),
        ([1.0, 0.9, 1.0], [0.2, 0.1, 0.3], 1, "lowest loss of 2 equal epochs"),
        ([1.0, 1.0, 0.9], [0.5, 0.5, 0.1], 1, "first of 2 equal epochs"),
        ([1.0, 1.0], [None, None], 1, "first of 2 equal epochs"),
        ([1.0, 1.0], [None, 0.5], 2, "lowest loss of 2 equal epochs"),
    ],
)
def test_tie_is_said_with_what_decided_it(
    values: list[float], losses: list[float | None], best: int, said: str
) -> None:
    epochs = trained(values, losses)
    assert best_epoch(epochs, "accuracy", on_selection=False) == best
    assert tie_words(epochs, "accuracy") == said


def settling(values: list[float], settled: list[bool]) -> list[EpochRecord]:
    """A training with these accuracies, whose budget settles as said."""
    epochs = trained(values, [0.5] * len(values))
    return [replace(epoch, settled=is_so) for epoch, is_so in zip(epochs, settled, strict=True)]


@pytest.mark.parametrize(
    ("settled", "best_from", "best"),
    [
        ([False, False, True, True], "first", 1),
        ([False, False, True, True], "settled", 4),
        ([False, False, True], "settled", 3),
        ([False, False], "settled", 1),  # as long as nothing has settled
        ([True, True, True], "settled", 1),
    ],
)
def test_best_epoch_is_one_that_counts(settled: list[bool], best_from: str, best: int) -> None:
    values = [0.9, 0.8, 0.5, 0.6]
    found = summary_of(settling(values[: len(settled)], settled), "accuracy", best_from)
    assert (found["best_epoch"], found["best_metric"]) == (best, values[best - 1])
    assert found["final_metric"] == values[len(settled) - 1]


def test_selected_epoch_is_one_that_counts() -> None:
    held = [{"accuracy": 0.5 + i / 10, "accuracy/selection": 0.9 - i / 10} for i in range(3)]
    epochs = settling([0.0] * 3, [False, True, True])
    epochs = [replace(epoch, metrics=own) for epoch, own in zip(epochs, held, strict=True)]
    assert summary_of(epochs, "accuracy", "settled")["selected_epoch"] == 2
    assert summary_of(epochs, "accuracy", "first")["selected_epoch"] == 1


def test_ties_are_among_the_epochs_that_count() -> None:
    epochs = settling([0.9, 0.9, 0.9], [False, True, True])
    assert tie_words(counted_epochs(epochs, "settled"), "accuracy") == "first of 2 equal epochs"


def test_all_epochs_count_where_nothing_is_said() -> None:
    assert best_from_of({}) == best_from_of({"training.best_from": None}) == "first"
    assert best_from_of({"training.best_from": "settled"}) == "settled"
