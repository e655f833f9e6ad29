import numpy as np
import pytest
from scipy import stats

from lora_sweep.report.statistics.power import paired_power, seeds_to_resolve


def test_power_is_that_of_simulated_tests() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(1.0, 1.0, size=(20_000, 8))
    found = stats.ttest_1samp(d, 0.0, axis=1).pvalue <= 0.05
    assert paired_power(1.0, 1.0, 8, alpha=0.05) == pytest.approx(found.mean(), abs=0.01)


def test_power_without_a_difference_is_the_level() -> None:
    assert paired_power(0.0, 1.0, 5, alpha=0.05) == pytest.approx(0.05)


@pytest.mark.parametrize(("difference", "std"), [(1.0, 1.0), (-0.5, 1.2), (2.0, 0.5)])
def test_seeds_are_the_fewest_that_do(difference: float, std: float) -> None:
    n = seeds_to_resolve(difference, std)
    assert n is not None and n >= 2
    assert paired_power(difference, std, n, alpha=0.05) >= 0.8
    if n > 2:
        assert paired_power(difference, std, n - 1, alpha=0.05) < 0.8


@pytest.mark.parametrize(("difference", "std"), [(0.0, 1.0), (1.0, 0.0), (0.01, 1.0)])
def test_no_number_where_none_would_do(difference: float, std: float) -> None:
    assert seeds_to_resolve(difference, std) is None
