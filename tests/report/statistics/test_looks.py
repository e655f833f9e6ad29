"""What looking several times may cost: boundaries over looks, and an interval for all times."""

import numpy as np
import pytest
from scipy import stats

from lora_sweep.report.statistics.confidence_sequence import PRIOR_SEEDS, confidence_sequence
from lora_sweep.report.statistics.spending import nominal_levels

LOOKS = (5, 8, 12, 16, 20, 25, 30)


def test_first_look_spends_its_share() -> None:
    levels = nominal_levels([10, 20], alpha=0.05, n_most=20)
    assert levels[0] == pytest.approx(0.05 * 0.5**1.5, rel=1e-4)


def test_one_look_has_the_whole_level() -> None:
    assert nominal_levels([8], alpha=0.05, n_most=8) == pytest.approx([0.05], rel=1e-4)


def test_two_looks_against_the_bivariate_normal() -> None:
    first, second = nominal_levels([10, 20], alpha=0.05, n_most=20)
    a, b = stats.norm.isf(first), stats.norm.isf(second)
    both = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    assert 1 - both.cdf([a, b]) == pytest.approx(0.05, abs=2e-4)


def test_all_looks_together_have_the_level() -> None:
    levels = nominal_levels(LOOKS, alpha=0.05, n_most=30)
    sums = np.random.default_rng(0).normal(size=(100_000, 30)).cumsum(axis=1)
    z = sums[:, [n - 1 for n in LOOKS]] / np.sqrt(LOOKS)
    crossed = (z > stats.norm.isf(levels)).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.003)


def test_interval_is_where_the_mixture_is_below_its_limit() -> None:
    values, alpha = np.random.default_rng(1).normal(1.0, 2.0, size=12), 0.05

    def mixture(mean: float) -> float:
        n, c = len(values), PRIOR_SEEDS
        s, v = (values - mean).sum(), ((values - mean) ** 2).sum()
        return float((c / (n + c)) ** 0.5 * (v / (v - s**2 / (n + c))) ** (n / 2))

    low, high = confidence_sequence(values, alpha=alpha)
    assert mixture(low) == pytest.approx(1 / alpha) == mixture(high)
    assert mixture(values.mean()) < 1 / alpha


def test_interval_seldom_misses_at_any_time() -> None:
    draws = np.random.default_rng(0).normal(3.0, 1.0, size=(400, 30))
    missed = 0
    for row in draws:
        intervals = [confidence_sequence(row[:n], alpha=0.1) for n in range(2, 31)]
        missed += any(not low <= 3.0 <= high for low, high in intervals)
    assert missed / len(draws) <= 0.1


def test_few_values_say_nothing() -> None:
    assert confidence_sequence(np.array([1.0]), alpha=0.05) == (-np.inf, np.inf)
    assert confidence_sequence(np.array([1.0, 1.1]), alpha=1e-6) == (-np.inf, np.inf)
