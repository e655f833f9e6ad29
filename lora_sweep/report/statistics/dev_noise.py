"""How sure the metric itself is: a joint bootstrap over seeds and dev examples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lora_sweep.metrics import METRICS, stacked_metric
from lora_sweep.report.statistics.all_right import least_if_all_right

Floats = NDArray[np.float64]
_MOST_AT_ONCE = 4_000_000
"""Resampled predictions in memory."""
_ROUNDING = 1e-9
"""Values that differ by no more are one value: a correlation is rounded in every resample."""


@dataclass(frozen=True)
class MetricInterval:
    """A cell's mean metric over its seeds, as it would be with other seeds and dev examples.

    Attributes:
        mean: over the seeds, on the dev set at hand.
        low, high: 95 % interval, inside the metric's range; infinite for one seed, or where
            nothing scatters.
        seed_error: standard error from the seeds; NaN for one seed.
        dev_error: standard error from the dev examples.
        n_seeds: that the mean is over.
    """

    mean: float
    low: float
    high: float
    seed_error: float
    dev_error: float
    n_seeds: int


def metric_interval(
    predicted: NDArray[Any],
    labels: NDArray[Any],
    metric: str,
    *,
    confidence: float = 0.95,
    n_resamples: int = 500,
) -> MetricInterval:
    """Returns the interval of the mean metric over the seeds: mean ± t · se.

        se² = s²/S + v_dev - v_both

    s² is the variance over the S seeds, as a bootstrap of their mean has it once its S is made
    S - 1; v_dev the variance of the mean when the dev examples are drawn anew, the same for all
    seeds; v_both what stands in either, each seed's own luck with the examples. t has
    Satterthwaite's degrees of freedom, for the seeds' part has only S - 1. An end outside what the
    metric can be is put to its edge. Where all seeds predict all examples right, the lower end is
    Wilson's, as in `examples_interval`.

    Args:
        predicted: of every seed (S, n).
        labels: (n,).
        metric: its name.
        confidence: of the interval.
        n_resamples: of the dev examples; those in which the metric is undefined count for nothing.

    Raises:
        ValueError: the metric is undefined on the labels.

    Source: bootstrap of two crossed factors: Owen, Ann. Appl. Stat. 1 (2007), which counts v_both
    three times; the correction is ours.
    """
    values = stacked_metric(metric, predicted, labels)  # (S,)
    if np.isnan(values).any():
        raise ValueError(f"labels must be such that {metric} is defined, but got others")
    n_seeds, mean = len(values), float(values.mean())
    resampled = _over_examples(predicted, labels, metric, n_resamples)  # (B, S)
    of_dev = float(resampled.mean(axis=1).var(ddof=1))
    if n_seeds < 2:
        return MetricInterval(mean, -np.inf, np.inf, np.nan, of_dev**0.5, n_seeds)
    of_seeds = float(values.var(ddof=1)) / n_seeds
    own_luck = resampled - resampled.mean(axis=1, keepdims=True)
    of_both = float(own_luck.var(axis=0, ddof=1).sum()) / (n_seeds - 1) / n_seeds
    variance = max(of_seeds + of_dev - of_both, of_seeds, of_dev)
    below = of_seeds**2 / (n_seeds - 1) + of_dev**2 / max(1, len(labels) - 1)
    df = variance**2 / below if below > 0 else 1.0
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * variance**0.5
    low, high = -np.inf, np.inf
    if half > _ROUNDING:
        low, high = max(mean - half, METRICS[metric].worst), min(mean + half, 1.0)
    if _are_all_right(predicted, labels):
        low, high = least_if_all_right(labels, metric, confidence=confidence), mean
    return MetricInterval(mean, low, high, of_seeds**0.5, of_dev**0.5, n_seeds)


def examples_interval(
    predicted: NDArray[Any],
    labels: NDArray[Any],
    metric: str,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2_000,
) -> tuple[float, float]:
    """Returns the interval of one model's metric: where it would lie on other examples.

    The central part of its values on the examples drawn with replacement (percentile bootstrap);
    where all labels are predicted right, Wilson's interval says how many may be wrong elsewhere.
    Where all else scatters in no draw, as real numbers that are all right or one class only, the
    examples say nothing of others: the ends are infinite.
    It says nothing of other seeds; `metric_interval` does.

    Args:
        predicted: (n,).
        labels: (n,), on which the metric is defined.
        metric: its name.
        confidence: of the interval.
        n_resamples: of the examples; those in which the metric is undefined count for nothing.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
    """
    values = _over_examples(predicted[None], labels, metric, n_resamples)[:, 0]
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    if _are_all_right(predicted, labels):
        low = least_if_all_right(labels, metric, confidence=confidence)
    elif np.ptp(values) <= _ROUNDING:
        return -np.inf, np.inf
    return float(low), float(high)


def _are_all_right(predicted: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Whether no label is predicted wrong, so that no draw of the examples differs."""
    return bool(np.issubdtype(labels.dtype, np.integer) and np.all(predicted == labels))


def _over_examples(
    predicted: NDArray[Any], labels: NDArray[Any], metric: str, n_resamples: int
) -> Floats:
    """The metric of every seed on dev sets drawn with replacement (at most n_resamples, S).

    The seeds share their labels, so it is undefined for all of them in a draw or for none.
    """
    rng = np.random.default_rng(0)
    n_seeds, n = predicted.shape
    at_once = max(1, _MOST_AT_ONCE // (n_seeds * n))
    parts = []
    for start in range(0, n_resamples, at_once):
        drawn = rng.integers(0, n, (min(at_once, n_resamples - start), n))
        parts.append(stacked_metric(metric, predicted[:, drawn], labels[drawn]).T)
    values = np.concatenate(parts)
    return values[~np.isnan(values).any(axis=1)]
