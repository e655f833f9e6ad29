import numpy as np
import pytest

from lora_sweep.report.statistics.movement import movements, thirds


@pytest.mark.parametrize(
    ("n", "sizes"), [(6, [2, 2, 2]), (7, [3, 2, 2]), (2, [1, 1]), (24, [8, 8, 8])]
)
def test_thirds_take_every_matrix_once_in_order(n: int, sizes: list[int]) -> None:
    parts = thirds(n)
    assert [len(part) for part in parts.values()] == sizes
    assert [i for part in parts.values() for i in part] == list(range(n))


def test_movement_by_hand() -> None:
    before = np.array([[4.0, 6.0, 9.0], [5.0, 5.0, 9.0], [5.0, 5.0, 9.0]])
    after = np.array([[6.0, 6.0, 9.0], [5.0, 4.0, 9.0], [6.0, 6.0, 9.0]])
    low, high = movements(before, after, {"low": [0, 1], "high": [2]})
    assert (low.n_up, low.n_down, low.n_runs) == (2, 1, 3)
    assert (low.mean_before, low.mean_after) == (5, 5.5)
    assert low.p == 1.0 and not low.is_clear  # 2 of 3
    assert (high.n_up, high.n_down, high.p) == (0, 0, 1.0)


def test_direction_is_clear_from_six_of_six_runs() -> None:
    def clear(n_up: int, n_down: int) -> bool:
        after = np.array([1.0] * n_up + [-1.0] * n_down)[:, None]
        (one,) = movements(np.zeros_like(after), after, {"all": [0]})
        return one.is_clear

    # two-sided sign test: 2 / 2^6 = 0.031, 2 / 2^5 = 0.0625; 8 of 9: 20 / 512 = 0.039
    assert clear(6, 0) and not clear(5, 0) and clear(1, 8) and not clear(2, 7)


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match=r"must both be \(n_runs, N\), but got \(2, 3\) and"):
        movements(np.zeros((2, 3)), np.zeros((2, 4)), {})
