import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from lora_sweep.metrics import METRICS, fitting_metrics, metric_values

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 2, 200)
GUESSES = np.where(GENERATOR.random(200) < 0.7, LABELS, 1 - LABELS)
VALUES = GENERATOR.normal(size=200)
PREDICTED = VALUES + GENERATOR.normal(size=200)


def test_classification_metrics_are_scikit_learns() -> None:
    values = metric_values(("matthews_correlation", "accuracy", "f1"), GUESSES, LABELS)
    assert values == {
        "matthews_correlation": pytest.approx(metrics.matthews_corrcoef(LABELS, GUESSES)),
        "accuracy": pytest.approx(metrics.accuracy_score(LABELS, GUESSES)),
        "f1": pytest.approx(metrics.f1_score(LABELS, GUESSES)),
    }


def test_correlations_are_scipys() -> None:
    values = metric_values(("pearson", "spearman"), PREDICTED, VALUES, suffix="/dev")
    assert values["pearson/dev"] == pytest.approx(stats.pearsonr(VALUES, PREDICTED)[0])
    assert values["spearman/dev"] == pytest.approx(stats.spearmanr(VALUES, PREDICTED)[0])


def test_matthews_correlation_by_hand() -> None:
    # tp 2, tn 1, fp 1, fn 0: (2 * 1 - 1 * 0) / sqrt(3 * 2 * 2 * 1)
    values = metric_values(
        ("matthews_correlation",), np.array([1, 1, 1, 0]), np.array([1, 1, 0, 0])
    )
    assert values["matthews_correlation"] == pytest.approx(2 / 12**0.5)


@pytest.mark.parametrize("name", ["matthews_correlation", "pearson", "spearman"])
def test_constant_predictions_have_no_correlation(name: str) -> None:
    assert METRICS[name].value(np.ones(4), np.array([0.0, 1.0, 1.0, 0.0])) == 0.0


def test_unknown_metric_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"must be among matthews_correlation.*but got bleu"):
        metric_values(("bleu",), GUESSES, LABELS)


@pytest.mark.parametrize(
    ("n_labels", "expected"),
    [
        (1, ("pearson", "spearman")),
        (2, ("accuracy", "f1", "matthews_correlation")),
        (3, ("accuracy",)),
    ],
)
def test_default_headline_comes_first(n_labels: int, expected: tuple[str, ...]) -> None:
    assert fitting_metrics(n_labels) == expected
    assert [METRICS[name].is_default for name in expected] == [True] + [False] * (
        len(expected) - 1
    )
