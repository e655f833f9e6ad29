import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.report.statistics.moderation import fit_prior, moderate_variances


def test_equal_variances_by_hand() -> None:
    # no more spread than chance: d0 is infinite, and capped at d = 2; the prior is the mean of
    # ln s² - digamma(1) + ln 1, digamma(1) being minus Euler's constant
    variances, df = moderate_variances(np.array([3.0, 3.0]), np.array([2.0, 2.0]))
    assert variances == pytest.approx(3 * (1 + np.exp(np.euler_gamma)) / 2)
    assert df.tolist() == [4, 4]


def test_prior_of_many_variances_is_found() -> None:
    rng = np.random.default_rng(0)
    n, d, d0, s0 = 50_000, 7.0, 6.0, 2.0
    true = s0 * d0 / rng.chisquare(d0, n)
    seen = true * rng.chisquare(d, n) / d
    prior, prior_df = fit_prior(seen, np.full(n, d))
    assert prior == pytest.approx(s0, rel=0.03)
    assert prior_df == pytest.approx(d0, rel=0.05)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=8), st.integers(1, 30))
def test_own_spread_counts_half_at_least(values: list[float], d: int) -> None:
    own, df = np.array(values), np.full(len(values), float(d))
    variances, moderated_df = moderate_variances(own, df)
    assert (variances >= own / 2 - 1e-9).all()
    assert (moderated_df <= 2 * df).all() and (moderated_df >= df).all()


def test_one_comparison_has_nothing_to_learn_from() -> None:
    variances, df = moderate_variances(np.array([2.0]), np.array([3.0]))
    assert (variances.tolist(), df.tolist()) == ([2], [3])
