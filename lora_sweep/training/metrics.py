"""Predictions + labels -> named metric values, all by scikit-learn and scipy."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64] | NDArray[np.int64]


def _matthews(predictions: Array, labels: Array) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def _accuracy(predictions: Array, labels: Array) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def _f1(predictions: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, zero_division=0.0))


def _pearson(predictions: Array, labels: Array) -> float:
    from scipy.stats import pearsonr

    return (
        float(pearsonr(predictions, labels).statistic) if _both_vary(predictions, labels) else 0.0
    )


def _spearman(predictions: Array, labels: Array) -> float:
    from scipy.stats import spearmanr

    return (
        float(spearmanr(predictions, labels).statistic) if _both_vary(predictions, labels) else 0.0
    )


METRICS: dict[str, Callable[[Array, Array], float]] = {
    "matthews_correlation": _matthews,
    "accuracy": _accuracy,
    "f1": _f1,
    "pearson": _pearson,
    "spearman": _spearman,
}


def metric_values(
    names: Sequence[str], predictions: Array, labels: Array, *, suffix: str = ""
) -> dict[str, float]:
    """Returns name + suffix -> value for each metric; larger is better for all of them.

    A correlation with a constant is 0: there is nothing to tell apart. F1 is that of label 1.

    Args:
        names: from `METRICS`.
        predictions: predicted labels or values (n,).
        labels: true ones (n,).
        suffix: put behind every name, e.g. `/in_domain`.

    Raises:
        ValueError: unknown metric.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        known = ", ".join(METRICS)
        raise ValueError(f"metrics must be among {known}, but got {', '.join(unknown)}")
    return {name + suffix: METRICS[name](predictions, labels) for name in names}


def _both_vary(predictions: Array, labels: Array) -> bool:
    return bool(np.ptp(predictions) > 0 and np.ptp(labels) > 0)
