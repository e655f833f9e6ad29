"""The metric's interval: its parts by hand, its coverage on cells with a known truth."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.simulated_cells import Truth, coverage
from lora_sweep.metrics import METRICS, metric_values, stacked_metric
from lora_sweep.report.statistics.all_right import least_if_all_right
from lora_sweep.report.statistics.dev_noise import examples_interval, metric_interval


def assert_stacked_as_each(name: str, predicted: NDArray[Any], labels: NDArray[Any]) -> None:
    each = [metric_values([name], row, labels)[name] for row in predicted]
    expected = [np.nan if value is None else value for value in each]
    found = stacked_metric(name, predicted, labels)
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(
    st.sampled_from(["matthews_correlation", "accuracy", "f1"]),
    st.integers(2, 3),
    st.integers(1, 30),
    st.integers(0, 1_000),
)
def test_stacked_label_metrics_are_those_of_the_training(
    name: str, n_labels: int, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n_labels = 2 if name == "f1" else n_labels
    predicted, labels = rng.integers(0, n_labels, (3, n)), rng.integers(0, n_labels, n)
    assert_stacked_as_each(name, predicted, labels)


@given(st.sampled_from(["pearson", "spearman"]), st.integers(2, 30), st.integers(0, 1_000))
def test_stacked_correlations_are_those_of_the_training(name: str, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, labels = rng.integers(0, 5, (3, n)).astype(float), rng.integers(0, 5, n) / 2
    assert_stacked_as_each(name, predicted, labels)


def test_every_metric_of_the_training_can_be_stacked() -> None:
    for name in METRICS:
        assert stacked_metric(name, np.array([[0, 1, 1]]), np.array([0, 1, 0])).shape == (1,)
    with pytest.raises(ValueError, match=r"must be among matthews_correlation.*but got bleu"):
        stacked_metric("bleu", np.zeros(2), np.zeros(2))


def test_parts_of_the_error_of_an_accuracy() -> None:
    # Seeds that agree on all but where they differ by design: errors of a proportion are known.
    rng = np.random.default_rng(0)
    labels = np.zeros(400, dtype=np.int64)
    shared = (rng.random(400) < 0.2).astype(np.int64)  # the examples that all seeds get wrong
    interval = metric_interval(np.stack([shared, shared]), labels, "accuracy", n_resamples=4_000)
    share = 1 - shared.mean()
    assert interval.mean == pytest.approx(share)
    assert interval.seed_error == 0.0
    assert interval.dev_error == pytest.approx((share * (1 - share) / 400) ** 0.5, rel=0.05)
    assert interval.high - interval.mean == pytest.approx(1.966 * interval.dev_error, rel=0.01)


@pytest.mark.parametrize(("metric", "worst"), [("accuracy", 0.0), ("matthews_correlation", -1.0)])
def test_interval_stays_where_the_metric_can_be(metric: str, worst: float) -> None:
    labels = np.arange(20) % 2
    right, off = labels.copy(), labels.copy()
    off[0] = 1 - off[0]  # one of 20 wrong at one of two seeds: mean 0.975, t of one degree wide
    interval = metric_interval(np.stack([right, off]), labels, metric)
    assert interval.low < interval.mean < interval.high == 1.0
    turned = metric_interval(1 - np.stack([right, off]), labels, metric)
    assert turned.low == worst < turned.mean < turned.high


def test_seeds_part_is_that_of_their_mean() -> None:
    labels = np.zeros(10, dtype=np.int64)
    predicted = np.array([[0] * 10, [0] * 8 + [1] * 2, [0] * 9 + [1]])
    assert metric_interval(predicted, labels, "accuracy").seed_error == pytest.approx(
        0.1 / 3**0.5  # std of 1.0, 0.8, 0.9
    )


def test_one_seed_has_no_interval_but_the_dev_error() -> None:
    interval = metric_interval(np.array([[0, 1, 1, 0]]), np.array([0, 1, 0, 0]), "accuracy")
    assert (interval.low, interval.high) == (-np.inf, np.inf)
    assert np.isnan(interval.seed_error)
    assert interval.dev_error > 0


def wilson_low(n: int) -> float:
    """Wilson's lower end for n right ones of n, as it is written for that case."""
    return n / (n + 1.959963984540054**2)


def test_predictions_all_right_leave_wilsons_share_open() -> None:
    labels = np.array([0, 1] * 9)
    low, high = examples_interval(labels, labels, "accuracy")
    # 18 of 18: 18 / (18 + 3.8415) = 0.8241
    assert (low, high) == (pytest.approx(wilson_low(18)), 1.0)
    interval = metric_interval(np.stack([labels, labels]), labels, "accuracy")
    assert (interval.low, interval.high) == (low, 1.0)
    # Two equal classes that are wrong equally often: Matthews correlation is 2 x accuracy - 1.
    mcc = examples_interval(labels, labels, "matthews_correlation")
    assert mcc == (pytest.approx(2 * wilson_low(18) - 1), 1.0)


@pytest.mark.parametrize("n", [18, 7_000, 8_000, 100_000])
def test_many_examples_leave_their_share_open(n: int) -> None:
    labels = np.arange(n) % 2
    low = least_if_all_right(labels, "accuracy")
    assert 1 - low == pytest.approx(1 - wilson_low(n), rel=1e-6)


def test_every_metric_of_labels_falls_with_the_share() -> None:
    # Equal classes that are wrong equally often, evenly as the others: each class has precision
    # and recall of that share, and so F1.
    labels, low = np.arange(30) % 3, wilson_low(30)
    assert least_if_all_right(labels, "macro_f1") == pytest.approx(low)
    # labels 0, 1, 0: ten positives, of which a share is missed, and of twice as many false ones
    f1 = 2 * 10 * low / (2 * 10 * low + (10 + 20) * (1 - low))
    assert least_if_all_right(labels % 2, "f1") == pytest.approx(f1)


def test_metric_without_weights_has_its_share_too(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = dataclasses.replace(METRICS["accuracy"], weighted=None)
    monkeypatch.setitem(METRICS, "plain", plain)
    low = least_if_all_right(np.arange(18) % 3, "plain")
    assert low == pytest.approx(wilson_low(18), abs=1e-5)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_numbers_that_are_all_right_have_no_interval(metric: str) -> None:
    labels = np.linspace(0.1, 4.9, 30) ** 2
    for predicted in (labels, labels / 3 + 0.1):  # a correlation is 1 for both, up to rounding
        assert examples_interval(predicted, labels, metric) == (-np.inf, np.inf)
        interval = metric_interval(np.stack([predicted, predicted]), labels, metric)
        assert (interval.low, interval.high) == (-np.inf, np.inf)
    off = labels.copy()
    off[3] += 5
    low, high = examples_interval(off, labels, metric)
    assert low < high


def test_one_class_for_all_has_no_interval_of_a_correlation() -> None:
    labels, ones = np.array([0, 1] * 9), np.ones(18, dtype=np.int64)
    assert examples_interval(ones, labels, "matthews_correlation") == (-np.inf, np.inf)
    low, high = examples_interval(ones, labels, "accuracy")
    assert low < 0.5 < high


def test_one_label_alone_can_be_wrong_too() -> None:
    labels = np.zeros(10, dtype=np.int64)
    low, _ = examples_interval(labels, labels, "accuracy")
    assert low == pytest.approx(wilson_low(10))


def test_draws_without_a_value_count_for_nothing() -> None:
    # All right: the value is 1 on every draw where it is defined. One label in three is another:
    # 8 / 27 of the draws lack it, and none may count as a 0.
    labels = np.array([0, 0, 1])
    assert examples_interval(labels, labels, "matthews_correlation")[1] == 1.0
    interval = metric_interval(np.stack([labels, labels]), labels, "matthews_correlation")
    assert (interval.mean, interval.dev_error) == (1.0, 0.0)


def test_interval_of_an_undefined_metric_is_refused() -> None:
    labels = np.ones(4, dtype=np.int64)
    with pytest.raises(ValueError, match="such that matthews_correlation is defined"):
        metric_interval(np.stack([labels, labels]), labels, "matthews_correlation")


def test_interval_covers_the_truth() -> None:
    assert 0.93 <= coverage(Truth(5, 300, 0.1, 0.7), 300) <= 0.97
