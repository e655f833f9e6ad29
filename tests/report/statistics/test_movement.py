import numpy as np
import pytest
from scipy import stats

from lora_sweep.report.statistics.movement import movements, thirds


@pytest.mark.parametrize(
    ("n", "sizes"), [(6, [2, 2, 2]), (7, [3, 2, 2]), (2, [1, 1]), (24, [8, 8, 8])]
)
def test_thirds_take_every_matrix_once_in_order(n: int, sizes: list[int]) -> None:
    parts = thirds(n)
    assert [len(part) for part in parts.values()] == sizes
    assert [i for part in parts.values() for i in part] == list(range(n))


def test_seeds_are_the_unit_and_groups_the_family() -> None:
    before = np.zeros((4, 3))
    # seeds 0, 0, 1, 2; the low group's steps are (1 + 3) / 2 = 2, 3 and 1
    after = np.array([[1.0, 1.0, 9.0], [3.0, 3.0, 1.0], [3.0, 3.0, 0.0], [1.0, 1.0, 1.0]])
    low, high = movements(before, after, [0, 0, 1, 2], {"low": [0, 1], "high": [2]})
    assert (low.n_runs, low.n_seeds) == (4, 3)
    assert (low.mean_before, low.mean_after) == (0, 2)
    assert high.mean_after == pytest.approx((5 + 0 + 1) / 3)  # and not 11 / 4, over the runs
    p = stats.ttest_1samp([2, 3, 1], 0).pvalue
    assert low.p == pytest.approx(2 * p)  # Holm over two groups, the smaller p
    assert high.p == pytest.approx(max(2 * p, stats.ttest_1samp([5, 0, 1], 0).pvalue))


def test_runs_of_one_seed_are_one_witness() -> None:
    after = np.array([[1.0], [1.1], [0.9], [1.2]])
    (one,) = movements(np.zeros((4, 1)), after, [0, 0, 0, 0], {"all": [0]})
    assert (one.p, one.is_clear) == (1, False)
    (four,) = movements(np.zeros((4, 1)), after, [0, 1, 2, 3], {"all": [0]})
    assert four.is_clear


def test_direction_is_that_of_the_test() -> None:
    # seed 0 has five runs that lose one, seeds 1 to 3 one run each that gains about one
    seeds, after = [0] * 5 + [1, 2, 3], np.array([-1.0] * 5 + [1.0, 1.1, 0.9])[:, None]
    (one,) = movements(np.zeros((8, 1)), after, seeds, {"all": [0]})
    assert one.mean_after == pytest.approx((-1 + 1 + 1.1 + 0.9) / 4)
    assert one.p == pytest.approx(stats.ttest_1samp([-1, 1, 1.1, 0.9], 0).pvalue)


def test_equal_movements_show_no_chance() -> None:
    after = np.array([[0.1 + 0.2], [0.3], [0.3]])  # equal but for rounding
    (one,) = movements(np.zeros((3, 1)), after, [0, 1, 2], {"all": [0]})
    assert one.p == 1


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match=r"must both be \(n_runs, N\), but got \(2, 3\) and"):
        movements(np.zeros((2, 3)), np.zeros((2, 4)), [0, 1], {})
