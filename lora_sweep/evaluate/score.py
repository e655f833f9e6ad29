"""Labelled texts -> a classifier's metrics, each with its interval over the texts."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.metrics import Array, metric_values, metric_words
from lora_sweep.report.statistics.dev_noise import examples_interval
from lora_sweep.trained.classifier import Classifier, predict_texts

_INTERVAL = "Interval: over other texts of this kind, not over other seeds."
_NO_INTERVAL = "-: every drawing of these texts has the same value, so it is not known."


@dataclass(frozen=True)
class Score:
    """One metric on one set of texts.

    Attributes:
        metric: its name; with `/PART` for a part of the dev set.
        n_texts: how many texts it is of.
        value: 0 to 1; None where the labels leave the metric undefined.
        low, high: 95 % interval over the texts; None without a value, and where no drawing of the
            texts has another one.
    """

    metric: str
    n_texts: int
    value: float | None
    low: float | None
    high: float | None


def score_parts(
    classifier: Classifier, parts: Mapping[str, LabelledTexts], headline: Sequence[str]
) -> list[Score]:
    """Returns the metrics that the run reported, on all headline parts together and on each part.

    Args:
        classifier: opened by `open_classifier`.
        parts: name -> texts with labels as the classifier numbers its classes.
        headline: names of the parts that the metric without a suffix is of.
    """
    predicted = {name: predict_texts(classifier, part).values for name, part in parts.items()}
    labels = {name: np.asarray(part.labels) for name, part in parts.items()}
    metrics = [name for name in classifier.about.metrics if "/" not in name]
    scores = _scores(
        metrics,
        np.concatenate([predicted[name] for name in headline]),
        np.concatenate([labels[name] for name in headline]),
    )
    if len(parts) > 1:
        for name in parts:
            scores += _scores(metrics, predicted[name], labels[name], suffix=f"/{name}")
    return scores


def scores_table(title: str, scores: Sequence[Score], label_names: Sequence[str]) -> str:
    """Returns the scores as a table with a title, × 100.

    Args:
        title: what they are of.
        scores: a row each.
        label_names: of the classifier's class 0, 1, ...; empty for regression.
    """
    rows = [
        [
            metric_words(score.metric, label_names),
            score.n_texts,
            *_value_words(score),
        ]
        for score in scores
    ]
    headers = ["Metric", "Texts", "Value", "95 % interval"]
    table = tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)
    how = _INTERVAL
    if any(score.value is not None and score.low is None for score in scores):
        how += f" {_NO_INTERVAL}"
    return f"{title}\n\n{table}\n\n{how}"


def scores_json(runs: Sequence[str], scores: Sequence[Sequence[Score]]) -> str:
    """Returns the scores as one line of JSON, 0 to 1: a flat list, each with its run.

    Args:
        runs: their names.
        scores: of each run.
    """
    flat = [
        {"run": run, **dataclasses.asdict(score)}
        for run, own in zip(runs, scores, strict=True)
        for score in own
    ]
    return json.dumps(flat)


def _value_words(score: Score) -> tuple[str, str]:
    if score.value is None:
        return "undefined", ""
    value = f"{100 * score.value:.2f}"
    if score.low is None or score.high is None:
        return value, "-"
    return value, f"{100 * score.low:.2f} to {100 * score.high:.2f}"


def _scores(
    metrics: Sequence[str], predicted: Array, labels: Array, suffix: str = ""
) -> list[Score]:
    values = metric_values(metrics, predicted, labels)
    scores = []
    for metric, value in values.items():
        low: float | None = None
        high: float | None = None
        if value is not None:
            low, high = examples_interval(predicted, labels, metric)
            if math.isinf(low):
                low = high = None
        scores.append(Score(metric + suffix, len(labels), value, low, high))
    return scores
