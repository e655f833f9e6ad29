import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.report.statistics.selection import (
    expected_best,
    init_effect_p,
    leave_one_seed_out,
    selection_premium,
)


def test_setting_is_chosen_without_the_seed_it_is_judged_by() -> None:
    # setting 1 is best on seed 0 alone; the others choose setting 0 for it
    values = np.array([[1.0, 2.0, 2.0], [9.0, 1.0, 1.0]])
    # seed 1 and 2 are chosen for by seed 0's 9: (9 + 1) / 2 > (1 + 2) / 2
    assert leave_one_seed_out(values).tolist() == [1, 1, 1]


def test_one_setting_leaves_nothing_to_choose() -> None:
    assert leave_one_seed_out(np.array([[3.0, 4.0]])).tolist() == [3, 4]
    with pytest.raises(ValueError, match="at least 2 seeds to choose a setting, but got 1"):
        leave_one_seed_out(np.zeros((2, 1)))


@given(st.integers(2, 5), st.integers(2, 6), st.integers(0, 99))
def test_choice_matches_a_loop(n_settings: int, n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n_settings, n))
    for j, chosen in enumerate(leave_one_seed_out(values)):
        rest = np.delete(values, j, axis=1).mean(axis=1)
        assert chosen == values[rest.argmax(), j]


def test_premium_by_listing_all_relabellings() -> None:
    values = np.array([[5.0, 4.0, 6.0], [1.0, 2.0, 3.0]])
    stands_out = []
    for swaps in itertools.product((False, True), repeat=3):
        cells = np.where(swaps, values[::-1], values)
        medians = np.median(cells, axis=1)
        stands_out.append(medians.max() - medians.mean())
    premium = selection_premium(values)
    assert premium.observed == (5 - 2) / 2
    assert premium.expected == pytest.approx(np.mean(stands_out))
    assert premium.p == pytest.approx(np.mean([s >= 1.5 for s in stands_out]))


def test_premium_of_equal_cells_is_that_of_chance() -> None:
    # of 20 equal cells with 5 seeds of std 1, the best median stands about 1 std above the mean
    rng = np.random.default_rng(0)
    seen = [selection_premium(rng.normal(size=(20, 5)), n_resamples=200) for _ in range(40)]
    observed, expected = (np.mean([getattr(s, f) for s in seen]) for f in ("observed", "expected"))
    assert observed == pytest.approx(expected, rel=0.1)
    assert np.mean([s.p <= 0.05 for s in seen]) <= 0.15
    with pytest.raises(ValueError, match="n_cells must be at least 2, but got 1"):
        selection_premium(np.zeros((1, 3)))


def test_init_effect_by_listing_all_relabellings() -> None:
    values = np.array([[5.0, 4.0, 6.0], [1.0, 2.0, 3.0]])
    contrasts = []
    for swaps in itertools.product((False, True), repeat=3):
        means = np.where(swaps, values[::-1], values).mean(axis=1)
        contrasts.append(abs(means - means.mean()).max())
    expected = np.mean([c >= contrasts[0] - 1e-9 for c in contrasts])
    assert init_effect_p(values) == pytest.approx(expected) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="2 inits and 2 blocks at least"):
        init_effect_p(np.zeros((1, 9)))


def test_large_effect_is_found() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 25)) + np.array([[3.0], [0.0], [0.0], [0.0]])
    assert init_effect_p(values, n_resamples=999) == pytest.approx(0.001)


def test_expected_best_by_hand() -> None:
    # two draws from {1, 2, 3}: 1 of 9 ends in 1, 3 in 2, 5 in 3
    values = np.array([3.0, 1.0, 2.0])
    assert expected_best(values, 1) == pytest.approx(2)
    assert expected_best(values, 2) == pytest.approx((1 + 3 * 2 + 5 * 3) / 9)
    assert expected_best(values, 1000) == pytest.approx(3)
