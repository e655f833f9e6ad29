"""What looking several times may cost: boundaries over looks, and an interval for all times."""

import numpy as np
import pytest
from scipy import stats

from lora_sweep.report.statistics.confidence_sequence import PRIOR_SEEDS, confidence_sequence
from lora_sweep.report.statistics.spending import nominal_levels

LOOKS = (5, 8, 12, 16, 20, 25, 30)


def test_first_look_spends_its_share() -> None:
    levels = nominal_levels([10, 20], alpha=0.05, n_most=20)
    assert levels[0] == pytest.approx(0.05 * 0.5**1.5)


def test_one_look_has_the_whole_level() -> None:
    assert nominal_levels([8], alpha=0.05, n_most=8) == pytest.approx([0.05])


def test_share_under_one_simulated_test_goes_on_to_the_next_look() -> None:
    looks, alpha = (5, 6, 7, 300), 0.05 / 32
    spent = alpha * (np.array(looks) / 300) ** 1.5  # 1.3, 1.8 and 2.2 of 400,000, then 625
    assert np.round(400_000 * np.diff(spent)).tolist()[:2] == [0, 0]
    levels = nominal_levels(looks, alpha=alpha, n_most=300)
    assert levels[0] == pytest.approx(spent[0])
    assert levels[1] == 0  # 0.4 of a test
    assert 0 < levels[2] < 1e-4  # 0.9 of one by now: the smallest p of 400,000
    assert levels[3] == pytest.approx(alpha, rel=0.15)  # 625 tests: known to 4 %


def test_levels_do_not_depend_on_later_looks() -> None:
    few, many = (nominal_levels(looks, alpha=0.05, n_most=30) for looks in (LOOKS[:3], LOOKS))
    assert few.tolist() == many[:3].tolist()


def test_many_seeds_have_the_levels_of_the_bivariate_normal() -> None:
    first, second = nominal_levels([1_000, 2_000], alpha=0.05, n_most=2_000)
    a, b = stats.norm.isf(first), stats.norm.isf(second)
    both = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    assert 1 - both.cdf([a, b]) == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize(("looks", "alpha"), [(LOOKS, 0.05), ((3, 4, 5, 6), 0.05 / 8)])
def test_all_looks_of_t_tests_together_have_the_level(
    looks: tuple[int, ...], alpha: float
) -> None:
    levels = nominal_levels(looks, alpha=alpha, n_most=looks[-1])
    d = np.random.default_rng(1).normal(size=(60_000, looks[-1]))
    p = [stats.ttest_1samp(d[:, :n], 0, axis=1, alternative="greater").pvalue for n in looks]
    crossed = (np.array(p) <= levels[:, None]).any(axis=0).mean()
    assert crossed == pytest.approx(alpha, rel=0.12)


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
    assert confidence_sequence(np.array([0.3, 0.1 + 0.2] * 5), alpha=0.05) == (-np.inf, np.inf)
