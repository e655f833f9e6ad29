"""What trackers show of a run: lines of its history and its record as named numbers.

| name | value |
| --- | --- |
| `loss/train` | mean over the epoch's batches |
| `metrics/NAME` | on dev, 0 to 1, where it is defined; parts of dev as `metrics/NAME/PART` |
| `schedule/alpha` | sharpness of the soft mask; not for fixed ranks |
| `schedule/budget_params` | rank budget, parameters |
| `schedule/budget_spent_params` | what the integer ranks spend of it |
| `ranks/MATRIX` | real-valued rank of an adapted matrix, by its module's name |
"""

from collections.abc import Mapping, Sequence
from typing import Any


def history_values(entry: Mapping[str, Any], matrices: Sequence[str]) -> dict[str, float]:
    """Returns a history line's numbers.

    Args:
        entry: of kind `ranks` or `epoch`.
        matrices: names of the adapted matrices, in module order.
    """
    values = {
        f"schedule/{name}": float(entry[name])
        for name in ("alpha", "budget_params", "budget_spent_params")
        if entry.get(name) is not None
    }
    if "train_loss" in entry:
        values["loss/train"] = float(entry["train_loss"])
    metrics = entry.get("metrics", {}).items()
    values |= {f"metrics/{name}": float(one) for name, one in metrics if one is not None}
    ranks = zip(matrices, entry["ranks"], strict=True)
    return values | {f"ranks/{matrix}": float(rank) for matrix, rank in ranks}


def record_values(record: Any) -> dict[str, float]:
    """Returns what a finished run's record sums up.

    Args:
        record: a `RunRecord`.
    """
    names = ("reported_metric", "best_metric", "final_metric", "best_epoch", "wall_seconds")
    values = {f"summary/{name}": float(getattr(record, name)) for name in names}
    values["summary/collapsed"] = float(record.collapsed)
    values["summary/n_trained_params"] = float(record.n_trained_params["total"])
    return values
