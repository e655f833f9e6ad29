import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.report.statistics.per_seed import over_chosen_settings, over_settings

NAN = float("nan")


def _none_failed(values: np.ndarray) -> np.ndarray:
    return np.zeros(values.shape, dtype=bool)


def test_mean_over_settings() -> None:
    values = np.array([[1.0, 2.0], [3.0, 6.0]])
    seen = over_settings(values, _none_failed(values))
    assert seen.values.tolist() == [2, 4]
    assert (seen.n_failed.tolist(), seen.n_runs.tolist()) == ([0, 0], [2, 2])


def test_missing_run_is_judged_at_the_mean_setting() -> None:
    # the second setting lies 2 above the first; seed 1 has the first alone
    values = np.array([[1.0, 2.0, 3.0], [3.0, NAN, 5.0]])
    seen = over_settings(values, _none_failed(values))
    assert seen.values == pytest.approx([2, 3, 4])
    assert seen.n_runs.tolist() == [2, 1, 2]


def test_levels_do_not_depend_on_the_metrics_zero() -> None:
    # the settings share no seed, so nothing says how far apart they lie
    values = np.array([[80.0, 80.0, NAN], [NAN, NAN, 40.0]])
    seen, moved = (over_settings(own, _none_failed(own)).values for own in (values, values + 1000))
    assert moved == pytest.approx(seen + 1000)
    assert seen[0] == pytest.approx(seen[1])
    assert 40 <= seen[2] <= seen[0] <= 80


def test_failed_run_counts_as_failed_and_not_by_its_value() -> None:
    values = np.array([[1.0, 2.0, 3.0], [3.0, 0.0, 5.0]])
    failed = np.array([[False, False, False], [False, True, False]])
    seen = over_settings(values, failed)
    assert seen.values == pytest.approx([2, 3, 4])
    assert (seen.n_failed.tolist(), seen.n_runs.tolist()) == ([0, 1, 0], [2, 2, 2])


def test_seed_without_a_trained_run_has_no_value() -> None:
    values = np.array([[1.0, 0.0], [3.0, NAN]])
    failed = np.array([[False, True], [False, True]])
    seen = over_settings(values, failed)
    assert seen.values.tolist()[0] == 2 and np.isnan(seen.values[1])
    assert (seen.n_failed.tolist(), seen.n_runs.tolist()) == ([0, 2], [2, 2])


def test_chosen_settings_that_a_seed_lacks_are_left_out() -> None:
    # equal at the first two seeds, so both are chosen; their levels are not taken out
    values = np.array([[1.0, 4.0, 9.0, NAN], [4.0, 1.0, NAN, NAN]])
    seen = over_chosen_settings(values, _none_failed(values)).values
    assert seen.tolist()[:3] == [2.5, 2.5, 9.0] and np.isnan(seen[3])


def test_settings_are_chosen_by_earlier_seeds() -> None:
    values = np.array([[10.0, 10.0, 10.0, 1.0], [0.0, 1.0, 0.0, 9.0]])
    # seeds 0 and 1 have nothing to choose by; of 2 and 3 the first setting was better by 9.5
    # and 9.67 with standard errors of 0.5 and 0.33, whatever they do themselves
    seen = over_chosen_settings(values, _none_failed(values))
    assert seen.values.tolist() == [5, 5.5, 10, 1]
    assert seen.n_runs.tolist() == [2, 2, 1, 1]


def test_settings_that_are_not_told_apart_stand_together() -> None:
    # seed 2: the first is better by 1 with a standard error of 1
    values = np.array([[4.0, 4.0, 8.0], [2.0, 4.0, 2.0]])
    assert over_chosen_settings(values, _none_failed(values)).values.tolist() == [3, 4, 5]


def test_setting_that_failed_twice_is_not_chosen() -> None:
    values = np.array([[50.0, 50.0, 50.0], [NAN, 0.0, 60.0]])
    failed = np.array([[False, False, False], [True, True, False]])
    seen = over_chosen_settings(values, failed)
    # the first failure left no value, and counts as the lowest seen, 0
    assert seen.values.tolist() == [50, 50, 50]
    assert (seen.n_failed.tolist(), seen.n_runs.tolist()) == ([1, 1, 0], [2, 2, 1])


@given(st.integers(2, 4), st.integers(3, 7), st.integers(0, 999))
def test_choice_matches_a_loop(n_settings: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 5, size=(n_settings, n)).astype(float)
    values[rng.random(values.shape) < 0.2] = NAN
    seen = over_chosen_settings(values, _none_failed(values)).values
    for j in range(n):
        kept = _kept(values[:, :j].tolist())
        known = [values[i, j] for i in kept if not np.isnan(values[i, j])]
        if known:
            assert seen[j] == pytest.approx(sum(known) / len(known))
        else:
            assert np.isnan(seen[j])


def _kept(past: list[list[float]]) -> list[int]:
    """The same rule in plain Python."""
    everything = list(range(len(past)))
    if len(past[0]) < 2:
        return everything
    means = [[x for x in row if not math.isnan(x)] for row in past]
    known = [i for i in everything if means[i]]
    if not known:
        return everything
    best = max(known, key=lambda i: (sum(means[i]) / len(means[i]), -i))
    kept = []
    for i in everything:
        pairs = zip(past[best], past[i], strict=True)
        gaps = [a - b for a, b in pairs if not math.isnan(a - b)]
        if len(gaps) < 2:
            kept.append(i)
            continue
        mean = sum(gaps) / len(gaps)
        error = (sum((g - mean) ** 2 for g in gaps) / (len(gaps) - 1) / len(gaps)) ** 0.5
        if mean <= error + 1e-12:
            kept.append(i)
    return kept
