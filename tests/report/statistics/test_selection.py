import itertools

import numpy as np
import pytest

from lora_sweep.report.statistics.selection import (
    expected_best,
    init_effect_p,
    selection_premium,
)

NAN = float("nan")
TWO = np.array([[5.0, 4.0, 6.0], [1.0, 2.0, 3.0]])


def test_premium_by_listing_all_relabellings() -> None:
    stands_out = []
    for swaps in itertools.product((False, True), repeat=3):
        cells = np.where(swaps, TWO[::-1], TWO)
        medians = np.median(cells, axis=1)
        stands_out.append(medians.max() - medians.mean())
    premium = selection_premium(TWO[:, None, :], n_resamples=4_000)
    assert (premium.observed, premium.n_cells, premium.n_seeds) == ((5 - 2) / 2, 2, (3, 3))
    assert premium.expected == pytest.approx(np.mean(stands_out), abs=0.03)
    assert premium.p == pytest.approx(np.mean([s >= 1.5 for s in stands_out]), abs=0.03)


def test_settings_of_a_seed_stay_together() -> None:
    # one init is 3 better at every setting: dealing its name out anew within a seed takes that
    # away, and 8 seeds of 4 inits leave no deal that stands out as far
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.1, size=(4, 3, 8))
    values[0] += 3
    assert selection_premium(values, n_resamples=500).p == pytest.approx(1 / 501)


def test_premium_of_equal_cells_is_that_of_chance() -> None:
    # settings of one init and seed share half of their variance
    rng = np.random.default_rng(0)
    seen = [
        selection_premium(rng.normal(size=(4, 1, 5)) + rng.normal(size=(4, 5, 5)), n_resamples=200)
        for _ in range(60)
    ]
    observed, expected = (np.mean([getattr(s, f) for s in seen]) for f in ("observed", "expected"))
    assert observed == pytest.approx(expected, rel=0.1)
    assert np.mean([s.p <= 0.05 for s in seen]) <= 0.15
    with pytest.raises(ValueError, match="cells with a value must be at least 2, but got 1"):
        selection_premium(np.zeros((1, 1, 3)))


def test_failed_runs_leave_the_medians_of_the_others() -> None:
    values = TWO[:, None, :].copy()
    values[0, 0, 0] = NAN
    premium = selection_premium(values, n_resamples=10)
    assert (premium.observed, premium.n_seeds) == ((5 - 2) / 2, (2, 3))


def test_cell_without_a_trained_run_is_left_out() -> None:
    values = np.stack([*TWO, [NAN] * 3])[:, None, :]
    premium = selection_premium(values, n_resamples=10)
    # of medians 5 and 2; a third cell at the median of all would make it 5 - (5 + 2 + 3.5) / 3
    assert (premium.n_cells, premium.observed) == (2, 1.5)
    with pytest.raises(ValueError, match="cells with a value must be at least 2, but got 0"):
        selection_premium(np.full((2, 2, 3), NAN))


def test_chance_leaves_out_what_it_empties() -> None:
    # seed 0 lacks the first cell, seed 1 the second: the names are dealt apart in half of the
    # deals, then each cell has one value, and else one cell has none and nothing stands out
    values = np.array([[[NAN, 4.0]], [[2.0, NAN]]])
    premium = selection_premium(values, n_resamples=4_000)
    assert premium.observed == 1
    assert premium.expected == pytest.approx(0.5, abs=0.03)
    assert premium.p == pytest.approx(0.5, abs=0.03)


def test_init_effect_by_listing_all_relabellings() -> None:
    contrasts = []
    for swaps in itertools.product((False, True), repeat=3):
        means = np.where(swaps, TWO[::-1], TWO).mean(axis=1)
        contrasts.append(abs(means - means.mean()).max())
    expected = np.mean([c >= contrasts[0] - 1e-9 for c in contrasts])
    assert init_effect_p(TWO) == pytest.approx(expected) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="2 inits and 2 seeds at least"):
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
