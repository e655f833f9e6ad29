import numpy as np
import pytest
from scipy import stats

from lora_sweep.report.statistics.power import (
    power_to_find,
    seeds_to_find,
    upper_limit_of_spread,
)

NAN = float("nan")


def test_power_is_that_of_simulated_tests() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(1.5, 1.0, size=(20_000, 8))
    found = stats.ttest_1samp(d, 0.5, axis=1, alternative="greater").pvalue <= 0.05
    assert power_to_find(1.0, 1.0, 8, alpha=0.05) == pytest.approx(found.mean(), abs=0.01)


@pytest.mark.parametrize(("distance", "spread"), [(1.0, 1.0), (0.5, 1.2), (2.0, 0.5)])
def test_seeds_are_the_fewest_that_do(distance: float, spread: float) -> None:
    n = seeds_to_find(distance, spread)
    assert n is not None and n >= 2
    assert power_to_find(distance, spread, n, alpha=0.05) >= 0.8
    if n > 2:
        assert power_to_find(distance, spread, n - 1, alpha=0.05) < 0.8


@pytest.mark.parametrize(("distance", "spread"), [(1.0, NAN), (0.01, 1.0)])
def test_no_number_where_none_would_do(distance: float, spread: float) -> None:
    assert seeds_to_find(distance, spread) is None


def test_upper_limit_holds_the_true_spread_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(0.0, 2.0, size=(20_000, 5)).std(axis=1, ddof=1)
    holds = np.mean([upper_limit_of_spread(s, 4) >= 2.0 for s in seen[:4_000]])
    assert holds == pytest.approx(0.8, abs=0.02)
