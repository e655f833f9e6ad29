import pytest

from lora_sweep.allocation.alpha_schedules import ALPHA_SCHEDULES, alpha_at


@pytest.mark.parametrize(
    ("name", "middle"),
    [("linear", 1.25), ("exponential", 1.0), ("cosine", 1.25)],
)
def test_alpha_in_the_middle_by_hand(name: str, middle: float) -> None:
    # 0.5 -> 2: arithmetic mean 1.25, geometric mean 1
    assert alpha_at(name, 5, 10, alpha_min=0.5, alpha_max=2.0) == pytest.approx(middle)


def test_linear_alpha_adds_the_same_every_step() -> None:
    values = [alpha_at("linear", step, 5, alpha_min=0.5, alpha_max=3.0) for step in range(6)]
    assert values == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])


def test_exponential_alpha_multiplies_every_step() -> None:
    values = [alpha_at("exponential", step, 3, alpha_min=0.5, alpha_max=4.0) for step in range(4)]
    assert values == pytest.approx([0.5, 1.0, 2.0, 4.0])


def test_cosine_alpha_is_slow_at_first() -> None:
    # (1 - cos(pi / 4)) / 2 of the way from 0.5 to 3
    value = alpha_at("cosine", 1, 4, alpha_min=0.5, alpha_max=3.0)
    assert value == pytest.approx(0.5 + 2.5 * 0.1464466094, abs=1e-9)


@pytest.mark.parametrize("name", ALPHA_SCHEDULES)
def test_alpha_starts_and_ends_at_its_range(name: str) -> None:
    ends = [alpha_at(name, step, 7, alpha_min=0.5, alpha_max=3.0) for step in (0, 7, 9)]
    assert ends == pytest.approx([0.5, 3.0, 3.0])


@pytest.mark.parametrize(
    ("name", "step", "alpha_min", "message"),
    [
        ("cubic", 0, 0.5, "alpha.schedule must be one of linear.* but got 'cubic'"),
        ("linear", 0, 0.0, "alpha must be above 0, but got 0.0"),
        ("linear", -1, 0.5, "step must be >= 0 .* but got -1"),
    ],
)
def test_alpha_refuses(name: str, step: int, alpha_min: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        alpha_at(name, step, 10, alpha_min=alpha_min, alpha_max=3.0)
