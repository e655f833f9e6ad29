"""The metrics: a row each, from the labels it fits to how it is computed.

A row names a function of one set of predictions, by scikit-learn or scipy. It may also name the
same numbers over stacks of predictions at once, (..., n) -> (...): thousands of resamples would
take minutes one by one.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64] | NDArray[np.int64]
Stack = NDArray[Any]
Floats = NDArray[np.float64]

NUMBERS, TWO_CLASSES, CLASSES = range(1, 2), range(2, 3), range(2, sys.maxsize)
"""Outputs of a head, n_labels: for regression, for two classes, for any number of classes."""

_ROUNDING = 1e-9
_N_EQUAL = 1_000_000
"""Examples in all, for a metric that takes no weights."""
POSITIVE = 1
"""The class that F1 is of."""


@dataclass(frozen=True)
class Need:
    """What labels must be like for a metric to be defined on them.

    Attributes:
        words: completes "it needs ...".
        holds: labels (..., n) -> flags (...).
    """

    words: str
    holds: Callable[[Stack], NDArray[np.bool_]]


NOTHING = Need("labels", lambda labels: np.full(labels.shape[:-1], True))
VARIED = Need("labels that differ", lambda labels: np.ptp(labels, axis=-1) > 0)
POSITIVES = Need("the positive label", lambda labels: (labels == POSITIVE).any(axis=-1))


@dataclass(frozen=True)
class Metric:
    """One metric; larger is better, and 1 is best.

    Attributes:
        fits: values of n_labels that it is meant for.
        value: predictions (n,), labels (n,) -> value.
        stacked: predictions and labels, both (..., n) -> values (...); None to compute one by one.
        weighted: predictions, labels and weights (n,) -> value; None for a metric that takes none.
        needs: what labels must be like; on others the metric is undefined.
        is_positives: whether it is of one class, `POSITIVE`, alone.
        is_default: whether it is the headline metric of a user's files that name none.
        worst: the least value that it can have; the most is 1.
    """

    fits: range
    value: Callable[[Array, Array], float]
    stacked: Callable[[Stack, Stack], Floats] | None = None
    weighted: Callable[[Array, Array, Floats], float] | None = None
    needs: Need = NOTHING
    is_positives: bool = False
    is_default: bool = False
    worst: float = 0.0


def metric_values(
    names: Sequence[str], predictions: Array, labels: Array, *, suffix: str = ""
) -> dict[str, float | None]:
    """Returns name + suffix -> value for each metric, None where the labels leave it undefined.

    Larger is better for all of them. The correlation of constant predictions is 0: they tell
    nothing apart.

    Args:
        names: from `METRICS`.
        predictions: predicted labels or values (n,).
        labels: true ones (n,).
        suffix: put behind every name, e.g. `/in_domain`.

    Raises:
        ValueError: unknown metric.
    """
    return {name + suffix: _value(_metric(name), predictions, labels) for name in names}


def is_possible(name: str, value: float) -> bool:
    """Returns whether a metric can have a value, up to rounding; of unknown ones, if it is finite.

    Args:
        name: of the metric, or of its value on a part, `f1/PART`.
        value: what it is said to be.
    """
    metric = METRICS.get(name.partition("/")[0])
    if metric is None:
        return math.isfinite(value)
    return metric.worst - _ROUNDING <= value <= 1 + _ROUNDING


def known_value(values: Mapping[str, float | None], name: str) -> float:
    """Returns a metric that must be defined, as the headline one is: no run starts without.

    Args:
        values: as from `metric_values`.
        name: of the metric.

    Raises:
        ValueError: it is undefined.
    """
    value = values[name]
    if value is None:
        raise ValueError(f"{name} must be defined, but got none")
    return value


def unmet_need(name: str, labels: Sequence[float]) -> str | None:
    """Returns what a metric needs of labels and these lack, in words; None where it is defined.

    Args:
        name: from `METRICS`.
        labels: (n,).

    Raises:
        ValueError: unknown metric.
    """
    needs = _metric(name).needs
    return None if needs.holds(np.asarray(labels)) else needs.words


def metric_words(name: str, label_names: Sequence[str]) -> str:
    """Returns a metric's name for people: F1 says which label it is of.

    Args:
        name: of the metric, or of its value on a part, `f1/PART`; others stay as they are.
        label_names: of class 0, 1, ...; empty for regression.
    """
    metric = METRICS.get(name.partition("/")[0])
    if metric is None or not metric.is_positives or len(label_names) <= POSITIVE:
        return name
    return f"{name} of label {label_names[POSITIVE]}"


def stacked_metric(name: str, predicted: Stack, labels: Stack) -> Floats:
    """Returns the metric of every set of predictions (...), as `metric_values` gives it for one.

    NaN where it is undefined.

    Args:
        name: from `METRICS`.
        predicted: (..., n).
        labels: (..., n), or what broadcasts to it.

    Raises:
        ValueError: unknown metric.
    """
    metric = _metric(name)
    is_defined = metric.needs.holds(labels)
    predicted, labels = np.broadcast_arrays(predicted, labels)
    if metric.stacked is not None:
        return np.where(is_defined, metric.stacked(predicted, labels), np.nan)  # (...)
    n = predicted.shape[-1]
    sets = zip(predicted.reshape(-1, n), labels.reshape(-1, n), strict=True)
    each = np.array([_value(metric, *one) for one in sets], dtype=np.float64)  # None -> NaN
    return each.reshape(predicted.shape[:-1])  # (...)


def weighted_metric(name: str, predicted: Array, labels: Array, weights: Floats) -> float:
    """Returns the metric of examples that count unequally often.

    Args:
        name: from `METRICS`. One that takes no weights is told of so many equal examples.
        predicted: predicted labels (n,).
        labels: true ones (n,), on which the metric is defined.
        weights: how often each counts, at least 0 (n,).

    Raises:
        ValueError: unknown metric.
    """
    metric = _metric(name)
    if metric.weighted is not None:
        return metric.weighted(predicted, labels, weights)
    n_equal = np.round(weights * (_N_EQUAL / weights.sum())).astype(np.int64)
    places = np.repeat(np.arange(len(labels)), n_equal)
    return metric.value(predicted[places], labels[places])


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


def _value(metric: Metric, predictions: Array, labels: Array) -> float | None:
    return metric.value(predictions, labels) if metric.needs.holds(labels) else None


def _matthews(predictions: Array, labels: Array, weights: Floats | None = None) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions, sample_weight=weights))


def _accuracy(predictions: Array, labels: Array, weights: Floats | None = None) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions, sample_weight=weights))


def _f1(predictions: Array, labels: Array, weights: Floats | None = None) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, pos_label=POSITIVE, sample_weight=weights))


def _macro_f1(predictions: Array, labels: Array, weights: Floats | None = None) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="macro", sample_weight=weights))


def _pearson(predictions: Array, labels: Array) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(predictions, labels).statistic) if _vary(predictions) else 0.0


def _spearman(predictions: Array, labels: Array) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(predictions, labels).statistic) if _vary(predictions) else 0.0


def _vary(predictions: Stack) -> NDArray[np.bool_]:
    return np.asarray(np.ptp(predictions, axis=-1) > 0)


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
    is_predicted, is_label = predicted == POSITIVE, labels == POSITIVE
    return _ratio(2 * _count(is_predicted & is_label), _count(is_predicted) + _count(is_label))


def _stacked_macro_f1(predicted: Stack, labels: Stack) -> Floats:
    """Over the classes that are predicted or there, as scikit-learn's."""
    total, n_there = np.zeros(predicted.shape[:-1]), np.zeros(predicted.shape[:-1])
    for label in range(1 + int(max(predicted.max(), labels.max()))):  # classes count from 0
        is_predicted, is_label = predicted == label, labels == label
        both = _count(is_predicted) + _count(is_label)
        total += _ratio(2 * _count(is_predicted & is_label), both)
        n_there += both > 0
    return total / n_there


def _stacked_pearson(predicted: Stack, labels: Stack) -> Floats:
    x = predicted - predicted.mean(axis=-1, keepdims=True)
    y = labels - labels.mean(axis=-1, keepdims=True)
    values = _ratio((x * y).sum(axis=-1), np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1)))
    # The mean of constants may be off by a rounding, which would be a deviation like any other.
    return np.where(_vary(predicted), values, 0.0)


def _stacked_spearman(predicted: Stack, labels: Stack) -> Floats:
    from scipy.stats import rankdata

    return _stacked_pearson(rankdata(predicted, axis=-1), rankdata(labels, axis=-1))


def _count(flags: Stack) -> Floats:
    return np.asarray(np.count_nonzero(flags, axis=-1), dtype=np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    """0 where there is nothing to divide by: predictions or labels are constant."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


METRICS: dict[str, Metric] = {
    "matthews_correlation": Metric(
        TWO_CLASSES, _matthews, _stacked_matthews, _matthews, needs=VARIED, worst=-1.0
    ),
    "accuracy": Metric(CLASSES, _accuracy, _stacked_accuracy, _accuracy, is_default=True),
    "f1": Metric(TWO_CLASSES, _f1, _stacked_f1, _f1, needs=POSITIVES, is_positives=True),
    "macro_f1": Metric(CLASSES, _macro_f1, _stacked_macro_f1, _macro_f1),
    "pearson": Metric(
        NUMBERS, _pearson, _stacked_pearson, needs=VARIED, is_default=True, worst=-1.0
    ),
    "spearman": Metric(NUMBERS, _spearman, _stacked_spearman, needs=VARIED, worst=-1.0),
}
