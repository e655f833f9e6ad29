"""What is said of the epoch that a run reports."""

import pytest

from lora_sweep.store.epochs import EpochRecord, best_epoch, tie_words


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
