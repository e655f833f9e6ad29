import pytest

from lora_sweep.allocation.budget_schedules import ramp


@pytest.mark.parametrize("step", [0, 3, 99])
def test_constant_budget_stays(step: int) -> None:
    assert ramp(step, start=38400, end=38400, n_hold=1, n_move=2) == 38400


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 50), (10, 50), (15, 125), (20, 200), (99, 200)],
    ids=["start", "hold", "halfway", "end", "beyond"],
)
def test_growing_budget_by_hand(step: float, expected: float) -> None:
    # 50 -> 200 entries, held 10 steps, moved over 10
    assert ramp(step, start=50, end=200, n_hold=10, n_move=10) == pytest.approx(expected)


def test_shrinking_budget_falls_linearly() -> None:
    values = [ramp(step, start=16, end=4, n_hold=0, n_move=3) for step in range(4)]
    assert values == pytest.approx([16, 12, 8, 4])


def test_ramp_without_length_jumps() -> None:
    values = [ramp(step, start=1, end=9, n_hold=2, n_move=0) for step in (1, 2)]
    assert values == [1, 9]


def test_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="must be >= 0, but got 0, 0 and -1"):
        ramp(0, start=1, end=2, n_hold=0, n_move=-1)
