import math

import pytest
import torch

from lora_sweep.allocation.init_schedules import INIT_SCHEDULES, InitInputs, starting_logits


def _logits(
    name: str,
    n: int,
    seed: int = 0,
    *,
    spectra: torch.Tensor | None = None,
    values: tuple[float, ...] | None = None,
) -> list[float]:
    spectra = (
        torch.rand(n, 3, generator=torch.Generator().manual_seed(7))
        if spectra is None
        else spectra
    )
    inputs = InitInputs(spectra, torch.Generator().manual_seed(seed), values)
    return starting_logits(name, inputs).tolist()


def test_quadratic_is_the_bell_worked_by_hand() -> None:
    # N = 4: c = 2, 2 sigma^2 = 2 * 16 / 40 = 0.8
    expected = [math.exp(-4 / 0.8), math.exp(-1 / 0.8), 1.0, math.exp(-1 / 0.8)]
    assert _logits("quadratic", 4) == pytest.approx(expected, rel=1e-12)


def test_left_skewed_is_wide_left_and_narrow_right() -> None:
    # N = 8: c = 6; left 2 sigma^2 = 2 * (24/4)^2 / 10 = 7.2, right 2 * (8/4)^2 / 10 = 0.8
    expected = [math.exp(-((6 - i) ** 2) / 7.2) for i in range(7)] + [math.exp(-1 / 0.8)]
    assert _logits("left_skewed", 8) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [1, 8, 9])
def test_right_skewed_mirrors_left_skewed(n: int) -> None:
    assert _logits("right_skewed", n) == _logits("left_skewed", n)[::-1]


def test_right_skewed_peaks_at_a_quarter_of_the_depth() -> None:
    # N = 8: c = 1; left 2 sigma^2 = 0.8, right 7.2
    expected = [math.exp(-1 / 0.8)] + [math.exp(-((i - 1) ** 2) / 7.2) for i in range(1, 8)]
    assert _logits("right_skewed", 8) == pytest.approx(expected, rel=1e-12)


def test_linear_rises_from_0_to_1() -> None:
    assert _logits("linear", 5) == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-12)
    assert _logits("linear", 1) == [0.0]


def test_spectral_splits_in_proportion_to_the_energy() -> None:
    # energies 3^2 + 4^2 = 25, 1 and 5^2 = 25 + 50 = 75
    spectra = torch.tensor([[4.0, 3.0], [1.0, 0.0], [math.sqrt(50), 5.0]])
    logits = _logits("spectral", 3, spectra=spectra)
    share = torch.softmax(torch.tensor(logits), dim=0).tolist()
    assert share == pytest.approx([25 / 101, 1 / 101, 75 / 101], rel=1e-5)
    assert sum(logits) == pytest.approx(0, abs=1e-9)


def test_spectral_is_finite_without_energy() -> None:
    spectra = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    low, high = _logits("spectral", 2, spectra=spectra)
    assert high - low == pytest.approx(math.log(1e12))
    assert _logits("spectral", 2, spectra=torch.zeros(2, 2)) == [0.0, 0.0]


def test_values_are_taken_as_they_are() -> None:
    assert _logits("values", 3, values=(0.5, -1.0, 2.0)) == [0.5, -1.0, 2.0]


@pytest.mark.parametrize(("values", "found"), [(None, "none"), ((1.0, 2.0), "2")])
def test_values_must_be_one_a_matrix(values: tuple[float, ...] | None, found: str) -> None:
    with pytest.raises(ValueError, match=f"one logit a matrix, 3, but got {found}"):
        _logits("values", 3, values=values)


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
    logits = _logits(name, n, values=tuple(map(float, range(n))))
    assert len(logits) == n
    assert all(math.isfinite(value) for value in logits)


def test_unknown_init_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"init must be one of uniform, randn.* but got 'cubic'"):
        _logits("cubic", 3)


def test_no_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="n_matrices must be at least 1, but got 0"):
        _logits("uniform", 0)
