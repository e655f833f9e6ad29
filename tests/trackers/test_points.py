"""Lines of a history as named numbers."""

from typing import Any

import pytest

from lora_sweep.trackers.points import history_values

RANKS: dict[str, Any] = {
    "kind": "ranks",
    "step": 3,
    "alpha": 0.5,
    "budget_params": 8.0,
    "ranks": [2.5, 1.5],
}
EPOCH = RANKS | {
    "kind": "epoch",
    "train_loss": 0.7,
    "metrics": {"accuracy": 0.6, "accuracy/near": 0.5, "f1/near": None},  # undefined there
    "budget_spent_params": 7,
}
OF_RANKS = {
    "schedule/alpha": 0.5,
    "schedule/budget_params": 8.0,
    "ranks/layer.0.query": 2.5,
    "ranks/layer.1.query": 1.5,
}
OF_EPOCH = OF_RANKS | {
    "loss/train": 0.7,
    "metrics/accuracy": 0.6,
    "metrics/accuracy/near": 0.5,
    "schedule/budget_spent_params": 7.0,
}


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        (RANKS, OF_RANKS),
        (EPOCH, OF_EPOCH),
        (RANKS | {"alpha": None}, {n: v for n, v in OF_RANKS.items() if "alpha" not in n}),
    ],
    ids=["ranks", "epoch", "fixed_ranks"],
)
def test_line_becomes_named_numbers(entry: dict[str, Any], values: dict[str, float]) -> None:
    assert history_values(entry, ["layer.0.query", "layer.1.query"]) == values
