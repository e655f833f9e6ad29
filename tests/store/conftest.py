"""A finished run's record."""

import pytest

from lora_sweep.store.epochs import EpochRecord
from lora_sweep.store.record import RunRecord


@pytest.fixture
def record() -> RunRecord:
    """Two evaluations of two matrices; the second is the best."""
    epochs = [
        EpochRecord(
            epoch=epoch,
            step=3 * epoch,
            train_loss=1 / epoch,
            metrics={"accuracy": value},
            alpha=None,
            budget_params=8.0,
            budget_over_cap_params=0.0,
            budget_spent_params=8,
            ranks=[2.0, 2.0],
            integer_ranks=[2, 2],
        )
        for epoch, value in ((1, 0.5), (2, 0.7))
    ]
    return RunRecord(
        settings={"init": "fixed", "lr": None, "seed": 0},
        fingerprint="f" * 64,
        model_fingerprint="a" * 64,
        corpus_fingerprint="b" * 64,
        metric="accuracy",
        matrices=["layer.0", "layer.1"],
        epochs=epochs,
        best_metric=0.7,
        best_epoch=2,
        final_metric=0.7,
        selected_metric=None,
        selected_epoch=None,
        collapsed=False,
        n_trained_params={"adapter": 8, "head": 3, "logits": 0, "total": 11},
        wall_seconds=1.5,
        device="cpu",
        versions={"torch": "2"},
        git_commit=None,
        label_names=["no", "yes"],
    )
