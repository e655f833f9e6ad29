"""The interval of a metric where every prediction is right: there no resample differs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lora_sweep.metrics import weighted_metric


def least_if_all_right(labels: NDArray[Any], metric: str, *, confidence: float = 0.95) -> float:
    """Returns how low a metric may truly be though every one of the examples is predicted right.

    By Wilson's interval, n right ones of n leave a share of wrong ones open. With that share of
    each label's examples predicted wrong, evenly as the other labels, the metric has this value.

    Args:
        labels: of the examples (n,), integers: 0, 1, ...
        metric: of labels; its name.
        confidence: of the two-sided interval.

    Source: Wilson, JASA 22 (1927), for the share; from there to the metric, ours.
    """
    n = len(labels)
    right = stats.binomtest(n, n).proportion_ci(confidence, method="wilson").low
    values = np.union1d(labels, [0, 1])  # a single label leaves another to be wrong by
    true, predicted = (grid.ravel() for grid in np.meshgrid(values, values, indexing="ij"))
    share = np.where(true == predicted, right, (1 - right) / (len(values) - 1))
    of_label = np.array([np.count_nonzero(labels == label) for label in true])
    return weighted_metric(metric, predicted, true, share * of_label)
