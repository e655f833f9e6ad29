"""The metrics: a row each, from the labels it fits to how it is computed.

A row names a function of one set of predictions, by scikit-learn or scipy. It may also name the
same numbers over stacks of predictions at once, (..., n) -> (...): thousands of resamples would
take minutes one by one.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64] | NDArray[np.int64]
Stack = NDArray[Any]
Floats = NDArray[np.float64]

NUMBERS, TWO_CLASSES, CLASSES = range(1, 2), range(2, 3), range(2, sys.maxsize)
"""Outputs of a head, n_labels: for regression, for two classes, for any number of classes."""


@dataclass(frozen=True)
class Metric:
    """One metric; larger is better, and 1 is best.

    Attributes:
        fits: values of n_labels that it is meant for.
        value: predictions (n,), labels (n,) -> value.
        stacked: predictions and labels, both (..., n) -> values (...); None to compute one by one.
        is_default: whether it is the headline metric of a user's files that name none.
    """

    fits: range
    value: Callable[[Array, Array], float]
    stacked: Callable[[Stack, Stack], Floats] | None = None
    is_default: bool = False


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
    return {name + suffix: _metric(name).value(predictions, labels) for name in names}


def stacked_metric(name: str, predicted: Stack, labels: Stack) -> Floats:
    """Returns the metric of every set of predictions (...), as `metric_values` gives it for one.

    Args:
        name: from `METRICS`.
        predicted: (..., n).
        labels: (..., n), or what broadcasts to it.

    Raises:
        ValueError: unknown metric.
    """
    metric = _metric(name)
    predicted, labels = np.broadcast_arrays(predicted, labels)
    if metric.stacked is not None:
        return metric.stacked(predicted, labels)
    n = predicted.shape[-1]
    sets = zip(predicted.reshape(-1, n), labels.reshape(-1, n), strict=True)
    values = np.array([metric.value(*one) for one in sets])
    return values.reshape(predicted.shape[:-1])  # (...)


def fitting_metrics(n_labels: int) -> tuple[str, ...]:
    """Returns the metrics that fit: the default headline, then the others by name.

    Args:
        n_labels: number of classes; 1 for regression.
    """
    fitting = [name for name, metric in METRICS.items() if n_labels in metric.fits]
    return tuple(sorted(fitting, key=lambda name: (not METRICS[name].is_default, name)))


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise ValueError(f"metric must be among {', '.join(METRICS)}, but got {name}")
    return METRICS[name]


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


def _both_vary(predictions: Array, labels: Array) -> bool:
    return bool(np.ptp(predictions) > 0 and np.ptp(labels) > 0)


def _stacked_matthews(predicted: Stack, labels: Stack) -> Floats:
    """Source: multi-class: Gorodkin, Comput. Biol. Chem. 28 (2004)."""
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


def _stacked_accuracy(predicted: Stack, labels: Stack) -> Floats:
    return np.asarray((predicted == labels).mean(axis=-1))


def _stacked_f1(predicted: Stack, labels: Stack) -> Floats:
    is_predicted, is_label = predicted == 1, labels == 1
    return _ratio(2 * _count(is_predicted & is_label), _count(is_predicted) + _count(is_label))


def _stacked_pearson(predicted: Stack, labels: Stack) -> Floats:
    x = predicted - predicted.mean(axis=-1, keepdims=True)
    y = labels - labels.mean(axis=-1, keepdims=True)
    return _ratio((x * y).sum(axis=-1), np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1)))


def _stacked_spearman(predicted: Stack, labels: Stack) -> Floats:
    from scipy.stats import rankdata

    return _stacked_pearson(rankdata(predicted, axis=-1), rankdata(labels, axis=-1))


def _count(flags: Stack) -> Floats:
    return np.asarray(np.count_nonzero(flags, axis=-1), dtype=np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    """0 where there is nothing to divide by: predictions or labels are constant."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


METRICS: dict[str, Metric] = {
    "matthews_correlation": Metric(TWO_CLASSES, _matthews, _stacked_matthews),
    "accuracy": Metric(CLASSES, _accuracy, _stacked_accuracy, is_default=True),
    "f1": Metric(TWO_CLASSES, _f1, _stacked_f1),
    "pearson": Metric(NUMBERS, _pearson, _stacked_pearson, is_default=True),
    "spearman": Metric(NUMBERS, _spearman, _stacked_spearman),
}
