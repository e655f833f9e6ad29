import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from lora_sweep.metrics import (
    METRICS,
    fitting_metrics,
    known_value,
    metric_values,
    metric_words,
    stacked_metric,
    unmet_need,
)

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 2, 200)
GUESSES = np.where(GENERATOR.random(200) < 0.7, LABELS, 1 - LABELS)
VALUES = GENERATOR.normal(size=200)
PREDICTED = VALUES + GENERATOR.normal(size=200)


def test_classification_metrics_are_scikit_learns() -> None:
    values = metric_values(("matthews_correlation", "accuracy", "f1", "macro_f1"), GUESSES, LABELS)
    assert values == {
        "matthews_correlation": pytest.approx(metrics.matthews_corrcoef(LABELS, GUESSES)),
        "accuracy": pytest.approx(metrics.accuracy_score(LABELS, GUESSES)),
        "f1": pytest.approx(metrics.f1_score(LABELS, GUESSES)),
        "macro_f1": pytest.approx(metrics.f1_score(LABELS, GUESSES, average="macro")),
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


CONSTANT = np.array([1.0, 1.0, 1.0])


@pytest.mark.parametrize("name", ["matthews_correlation", "pearson", "spearman"])
@pytest.mark.parametrize("predicted", [CONSTANT, np.array([0.0, 1.0, 0.0])])
def test_correlation_with_constant_labels_is_undefined(
    name: str, predicted: NDArray[np.float64]
) -> None:
    assert metric_values([name], predicted, CONSTANT) == {name: None}
    assert np.isnan(stacked_metric(name, predicted, CONSTANT))
    assert unmet_need(name, CONSTANT.tolist()) == "labels that differ"


def test_f1_needs_the_positive_label_and_no_other() -> None:
    zeros, ones = np.zeros(4, dtype=np.int64), np.ones(4, dtype=np.int64)
    assert metric_values(["f1"], ones, zeros) == {"f1": None}
    # precision 1, recall 3 / 4: 2 * 1 * 0.75 / 1.75
    assert metric_values(["f1"], np.array([1, 1, 1, 0]), ones) == {"f1": pytest.approx(6 / 7)}


def test_macro_f1_is_the_mean_over_the_classes_that_occur() -> None:
    # class 0: 2 of 3 found, 2 of 2 right: 4/5; class 1: 1 of 1, 1 of 2: 2/3; class 3: none of 1: 0
    labels, guesses = np.array([0, 0, 0, 1, 3]), np.array([0, 0, 1, 1, 0])
    guesses[4] = 2  # class 2 is only predicted: 0
    expected = (4 / 5 + 2 / 3 + 0 + 0) / 4
    assert metric_values(["macro_f1"], guesses, labels) == {"macro_f1": pytest.approx(expected)}
    assert stacked_metric("macro_f1", guesses, labels) == pytest.approx(expected)


def test_accuracy_is_defined_on_any_labels() -> None:
    assert metric_values(["accuracy"], np.array([1, 0, 1, 1]), np.ones(4)) == {"accuracy": 0.75}
    assert unmet_need("accuracy", [1, 1]) is None


def test_constant_predictions_are_constant_whatever_their_mean_rounds_to() -> None:
    predicted = np.full((1, 3), 0.1)
    assert predicted.mean() != 0.1  # so each differs from the mean, in the last bit
    assert stacked_metric("pearson", predicted, np.array([0.0, 1.0, 2.0])).tolist() == [0.0]


def test_undefined_sets_of_a_stack_are_nan_and_no_others() -> None:
    labels = np.array([[0, 1, 1], [1, 1, 1]])
    found = stacked_metric("matthews_correlation", np.array([0, 1, 1]), labels)
    assert found[0] == pytest.approx(1.0)
    assert np.isnan(found[1])


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("labels", [(0, 0, 0), (1, 1, 1), (0, 0, 1), (1, 0, 1)])
def test_library_warnings_are_kept_from_users(labels: tuple[int, ...], n_labels: int) -> None:
    """Warnings are errors here: classes that nobody predicts, or that dev does not have."""
    for predictions in itertools.product(range(n_labels), repeat=3):
        found = metric_values(fitting_metrics(n_labels), np.array(predictions), np.array(labels))
        right = sum(one == other for one, other in zip(predictions, labels, strict=True))
        assert found["accuracy"] == pytest.approx(right / 3)


def test_numbers_that_hardly_differ_warn_of_nothing() -> None:
    """As a head that has all but collapsed gives them: neighbours of float32."""
    next_one = float(np.nextafter(np.float32(1), np.float32(2)))
    found = metric_values(fitting_metrics(1), np.array([1.0, 1.0, next_one]), np.arange(3.0))
    # Of (0, 0, 1) with (0, 1, 2): 1 / sqrt(2/3 * 2) = sqrt(3)/2; ranks are (1.5, 1.5, 3).
    assert found == pytest.approx({"pearson": 3**0.5 / 2, "spearman": 3**0.5 / 2})


def test_known_value_is_never_none() -> None:
    assert known_value({"f1": 0.5, "accuracy": None}, "f1") == 0.5
    with pytest.raises(ValueError, match="accuracy must be defined, but got none"):
        known_value({"f1": 0.5, "accuracy": None}, "accuracy")


def test_f1_says_its_label_and_no_other_metric_does() -> None:
    assert metric_words("f1", ("ham", "spam")) == "f1 of label spam"
    assert metric_words("accuracy", ("ham", "spam")) == "accuracy"
    assert metric_words("pearson", ()) == "pearson"


def test_unknown_metric_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"must be among matthews_correlation.*but got bleu"):
        metric_values(("bleu",), GUESSES, LABELS)


@pytest.mark.parametrize(
    ("n_labels", "expected"),
    [
        (1, ("pearson", "spearman")),
        (2, ("accuracy", "f1", "macro_f1", "matthews_correlation")),
        (3, ("accuracy", "macro_f1")),
    ],
)
def test_default_headline_comes_first(n_labels: int, expected: tuple[str, ...]) -> None:
    assert fitting_metrics(n_labels) == expected
    assert [METRICS[name].is_default for name in expected] == [True] + [False] * (
        len(expected) - 1
    )
