"""The record of a finished run: what a test is about, and something for all the rest."""

from collections.abc import Sequence
from typing import Any

from lora_sweep.store.epochs import EpochRecord, summary_of
from lora_sweep.store.record import RunRecord


def make_record(
    name: str, settings: dict[str, Any], epochs: Sequence[EpochRecord], **fields: Any
) -> RunRecord:
    """The record of a run with these evaluations; its fingerprint is its name's."""
    metric = fields.get("metric", "accuracy")
    known: dict[str, Any] = {
        "settings": settings,
        "fingerprint": f"fingerprint of {name}",
        "model_fingerprint": "m",
        "corpus_fingerprint": "c",
        "metric": metric,
        "matrices": ["encoder.layer.0.query"],
        "epochs": list(epochs),
        **summary_of(epochs, metric),
        "collapsed": False,
        "n_trained_params": {"adapter": 6, "head": 3, "logits": 0, "total": 9},
        "wall_seconds": 1.5,
        "device": "cpu",
        "versions": {},
        "git_commit": None,
        "label_names": ["no", "yes"],
        "name": name,
    }
    return RunRecord(**(known | fields))


def epoch_record(epoch: int, metrics: dict[str, float | None], *, rank: int = 3) -> EpochRecord:
    """An evaluation with these metrics, after eight steps an epoch, of one matrix."""
    spent = rank**2
    own, spent_params = [float(rank)], float(spent)
    return EpochRecord(epoch, 8 * epoch, 0.5, metrics, 0.5, spent_params, 0.0, spent, own, [rank])
