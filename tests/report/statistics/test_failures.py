import numpy as np
import pytest

from lora_sweep.report.statistics.failures import compare_failures, compare_failures_over_tasks


def _runs(failed: list[int], runs: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(failed), np.array(runs)


def test_one_run_a_seed_is_mcnemars_test() -> None:
    found = compare_failures(_runs([1] * 6 + [0] * 2, [1] * 8), _runs([0] * 8, [1] * 8))
    assert (found.init, found.baseline) == ((6, 8), (0, 8))
    assert found.difference == 0.75
    assert found.p == pytest.approx(2 / 2**6)


def test_runs_of_one_seed_are_one_witness() -> None:
    # two seeds at which all three settings fail are two seeds, not six runs
    found = compare_failures(_runs([3, 3, 0, 0], [3] * 4), _runs([0] * 4, [1] * 4))
    assert found.init == (6, 12)
    assert found.p == pytest.approx(2 / 2**2)


def test_equal_failures_are_no_difference() -> None:
    found = compare_failures(_runs([1, 0], [1, 1]), _runs([1, 0], [1, 1]))
    assert (found.difference, found.p) == (0, 1)


def test_seed_that_one_side_lacks_is_left_out() -> None:
    found = compare_failures(_runs([1, 1], [1, 1]), _runs([0, 0], [1, 0]))
    assert (found.difference, found.p) == (1, 1)


def test_seed_stands_with_its_mean_over_the_tasks() -> None:
    # seed 0: shares differ by 1 and 0; seed 1 by 1/2 in one task only; seed 2 by 1 in one only
    first = ([0, 1], _runs([1, 1], [1, 2]), _runs([0, 0], [1, 1]))
    second = ([0, 2], _runs([1, 2], [1, 2]), _runs([1, 0], [1, 1]))
    found = compare_failures_over_tasks([first, second])
    assert (found.init, found.baseline) == ((5, 6), (1, 4))
    assert found.difference == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert found.p == pytest.approx(2 / 2**3)
