"""The metrics over stacks of predictions at once, for resampling: (..., n) -> (...).

The same numbers as those of the training's metrics, which scikit-learn and scipy compute for one
set of predictions at a time: thousands of resamples would take minutes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[Any]
Floats = NDArray[np.float64]


def stacked_metric(name: str, predicted: Array, labels: Array) -> Floats:
    """Returns the metric of every set of predictions (...).

    Args:
        name: `matthews_correlation`, `accuracy`, `f1`, `pearson` or `spearman`.
        predicted: (..., n).
        labels: (..., n), or what broadcasts to it.

    Raises:
        ValueError: unknown metric.

    Source: multi-class Matthews correlation: Gorodkin, Comput. Biol. Chem. 28 (2004).
    """
    if name not in _STACKED:
        raise ValueError(f"name must be among {', '.join(_STACKED)}, but got {name}")
    return _STACKED[name](*np.broadcast_arrays(predicted, labels))


def _matthews(predicted: Array, labels: Array) -> Floats:
    n = predicted.shape[-1]
    correct = np.zeros(predicted.shape[:-1])
    both, of_predicted, of_labels = correct.copy(), correct.copy(), correct.copy()
    for label in range(1 + int(max(predicted.max(), labels.max()))):  # classes count from 0
        is_predicted, is_label = predicted == label, labels == label
        n_predicted, n_label = _count(is_predicted), _count(is_label)
        correct += _count(is_predicted & is_label)
        both += n_predicted * n_label
        of_predicted += n_predicted**2
        of_labels += n_label**2
    return _ratio(correct * n - both, np.sqrt((n**2 - of_predicted) * (n**2 - of_labels)))


def _accuracy(predicted: Array, labels: Array) -> Floats:
    return np.asarray((predicted == labels).mean(axis=-1))


def _f1(predicted: Array, labels: Array) -> Floats:
    is_predicted, is_label = predicted == 1, labels == 1
    return _ratio(2 * _count(is_predicted & is_label), _count(is_predicted) + _count(is_label))


def _pearson(predicted: Array, labels: Array) -> Floats:
    x = predicted - predicted.mean(axis=-1, keepdims=True)
    y = labels - labels.mean(axis=-1, keepdims=True)
    return _ratio((x * y).sum(axis=-1), np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1)))


def _spearman(predicted: Array, labels: Array) -> Floats:
    return _pearson(rankdata(predicted, axis=-1), rankdata(labels, axis=-1))


def _count(flags: Array) -> Floats:
    return np.asarray(np.count_nonzero(flags, axis=-1), dtype=np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    """0 where there is nothing to divide by: predictions or labels are constant."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


_STACKED: dict[str, Callable[[Array, Array], Floats]] = {
    "matthews_correlation": _matthews,
    "accuracy": _accuracy,
    "f1": _f1,
    "pearson": _pearson,
    "spearman": _spearman,
}
