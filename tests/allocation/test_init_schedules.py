import math

import pytest
import torch

from lora_sweep.allocation.init_schedules import INIT_SCHEDULES, starting_logits


def _logits(name: str, n: int, seed: int = 0) -> list[float]:
    return starting_logits(name, n, torch.Generator().manual_seed(seed)).tolist()


def test_quadratic_is_the_bell_worked_by_hand() -> None:
    # N = 4: c = 2, 2 sigma^2 = 2 * 16 / 40 = 0.8
    expected = [math.exp(-4 / 0.8), math.exp(-1 / 0.8), 1.0, math.exp(-1 / 0.8)]
    assert _logits("quadratic", 4) == pytest.approx(expected, rel=1e-12)


def test_left_skewed_is_wide_left_and_narrow_right() -> None:
    # N = 8: c = 6; left 2 sigma^2 = 2 * (24/4)^2 / 10 = 7.2, right 2 * (8/4)^2 / 10 = 0.8
    expected = [math.exp(-((6 - i) ** 2) / 7.2) for i in range(7)] + [math.exp(-1 / 0.8)]
    assert _logits("left_skewed", 8) == pytest.approx(expected, rel=1e-12)


def test_uniform_is_zero_everywhere() -> None:
    assert _logits("uniform", 3) == [0.0, 0.0, 0.0]


def test_randn_follows_the_generator() -> None:
    draws = _logits("randn", 4000)
    assert draws == _logits("randn", 4000) != _logits("randn", 4000, seed=1)
    assert abs(sum(draws) / 4000) < 0.06
    assert sum(value**2 for value in draws) / 4000 == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", INIT_SCHEDULES)
@pytest.mark.parametrize("n", [1, 5, 96])
def test_init_schedule_gives_one_finite_logit_a_matrix(name: str, n: int) -> None:
    logits = _logits(name, n)
    assert len(logits) == n
    assert all(math.isfinite(value) for value in logits)


def test_unknown_init_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"init must be one of uniform, randn.* but got 'cubic'"):
        _logits("cubic", 3)


def test_no_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="n_matrices must be at least 1, but got 0"):
        _logits("uniform", 0)
