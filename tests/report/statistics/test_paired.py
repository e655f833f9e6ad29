import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lora_sweep.report.statistics.paired import (
    PairedComparison,
    compare_paired,
    holm,
    sign_flip_p,
    verdict,
)


def _slow_sign_flip(values: np.ndarray) -> float:
    """All sign flips, one by one, the setting chosen anew for each and each seed."""
    n = values.shape[1]
    means = []
    for signs in itertools.product((1, -1), repeat=n):
        flipped = values * np.array(signs)
        chosen = []
        for j in range(n):
            rest = np.delete(flipped, j, axis=1).mean(axis=1)
            chosen.append(flipped[rest.argmax(), j])
        means.append(abs(np.mean(chosen)))
    return float(np.mean([mean >= means[0] - 1e-9 for mean in means]))


@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 999))
def test_sign_flips_are_all_of_them(n_settings: int, n: int, seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.3, 1.0, size=(n_settings, n))
    assert sign_flip_p(differences) == pytest.approx(_slow_sign_flip(differences))


def test_many_seeds_are_flipped_at_random() -> None:
    differences = np.random.default_rng(0).normal(0.0, 1.0, size=(1, 30))
    expected = stats.ttest_1samp(differences[0], 0).pvalue
    assert sign_flip_p(differences) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_smallest_p_is_that_of_one_sign(n: int) -> None:
    paired = compare_paired(np.arange(1.0, n + 1)[None], np.zeros(n))
    assert paired.p_exact == pytest.approx(2 / 2**n) == pytest.approx(paired.smallest_p)


def test_comparison_by_hand() -> None:
    # differences 1, 2, 3: mean 2, std 1, t = 2 sqrt(3), t_.975(2) = 4.3027
    paired = compare_paired(np.array([[3.0, 3.0, 5.0]]), np.array([2.0, 1.0, 2.0]))
    assert paired.differences == (1, 2, 3)
    assert (paired.mean, paired.std_error) == pytest.approx((2, 3**-0.5))
    half = 4.3027 / 3**0.5
    assert (paired.low, paired.high) == pytest.approx((2 - half, 2 + half), rel=1e-4)
    assert paired.p == pytest.approx(2 * stats.t.sf(2 * 3**0.5, 2))
    assert paired.superiority == 1  # 3, 3, 5 all beat 2, 1, 2
    assert compare_paired(np.ones((1, 2)), np.ones(2)).superiority == 0.5


def test_several_settings_widen_the_error_by_the_jackknife() -> None:
    # differences of two settings; the choice for a seed is made by the others' means
    values = np.array([[1.0, 4.0, 1.0], [2.0, 2.0, 2.0]])
    # seed 0: 2.5 > 2 -> 1; seed 1: 1 < 2 -> 2; seed 2: 2.5 > 2 -> 1
    paired = compare_paired(values, np.zeros(3))
    assert paired.differences == (1, 2, 1)
    # without seed 0: (4, 1), (2, 2): seed 1 by seed 2 -> 2, seed 2 by seed 1 -> 1: mean 1.5;
    # without seed 1: all by 1 < 2 -> 2, 2: mean 2; without seed 2 as without seed 0: 1.5
    plain, jackknife = np.var([1, 2, 1], ddof=1) / 3, 2 * np.var([1.5, 2, 1.5])
    assert paired.std_error == pytest.approx(((2 * plain + jackknife) / 3) ** 0.5)


@pytest.mark.parametrize(("n_settings", "n"), [(1, 1), (2, 2)])
def test_few_seeds_say_nothing(n_settings: int, n: int) -> None:
    paired = compare_paired(np.arange(1.0, n_settings * n + 1).reshape(n_settings, n), np.zeros(n))
    assert (paired.low, paired.high, paired.p) == (-np.inf, np.inf, 1)


def test_equal_differences_have_no_more_than_their_signs() -> None:
    paired = compare_paired(np.full((1, 3), 2.0), np.zeros(3))
    assert (paired.low, paired.high, paired.p) == (2, 2, 0.25)
    assert compare_paired(np.zeros((1, 3)), np.zeros(3)).p == 1


@pytest.mark.parametrize(("a", "b"), [((1, 0), (0,)), ((1, 1), (2,)), ((3,), (3,))])
def test_arms_must_match(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be \(n_settings, n\) and \(n,\), but got"):
        compare_paired(np.zeros(a), np.zeros(b))


def test_holm_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 and 0.9 x 1
    assert holm([0.02, 0.9, 0.01, 0.03]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_lies_between_raw_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(
        raw <= own <= min(1, len(p) * raw) + 1e-12 for raw, own in zip(p, adjusted, strict=True)
    )


def _with_mean(mean: float) -> PairedComparison:
    return PairedComparison((mean,), mean, 0.1, mean, mean, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("mean", "p", "said"),
    [
        (0.6, 0.05, "better"),
        (-0.6, 0.05, "worse"),
        (0.6, 0.051, "not resolved"),
        (0.5, 0.001, "not resolved"),
        (-0.5, 0.001, "not resolved"),
    ],
)
def test_verdict_needs_both(mean: float, p: float, said: str) -> None:
    assert verdict(_with_mean(mean), p, region=0.5) == said
