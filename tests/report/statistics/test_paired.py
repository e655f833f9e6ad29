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

DIFFERENCES = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=2, max_size=8)


def _slow_sign_flip(d: list[float]) -> float:
    """All sign flips, one by one."""
    means = [
        abs(sum(s * x for s, x in zip(signs, d, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(d))
    ]
    return sum(mean >= abs(sum(d)) - 1e-9 for mean in means) / len(means)


@given(DIFFERENCES)
def test_sign_flips_are_all_of_them(d: list[float]) -> None:
    assert sign_flip_p(np.array(d)) == pytest.approx(_slow_sign_flip(d))


@pytest.mark.parametrize("n", [2, 5, 8])
def test_smallest_p_is_that_of_one_sign(n: int) -> None:
    paired = compare_paired(np.arange(1.0, n + 1), np.zeros(n))
    assert paired.p_exact == pytest.approx(2 / 2**n) == pytest.approx(paired.smallest_p)


def test_comparison_by_hand() -> None:
    # differences 1, 2, 3: mean 2, std 1, t = 2 sqrt(3), t_.975(2) = 4.3027
    paired = compare_paired(np.array([3.0, 3.0, 5.0]), np.array([2.0, 1.0, 2.0]))
    assert paired.differences == (1, 2, 3)
    assert paired.mean == 2
    assert (paired.low, paired.high) == pytest.approx(
        (2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), 1e-4
    )
    assert paired.p == pytest.approx(2 * stats.t.sf(2 * 3**0.5, 2))
    assert paired.superiority == 1  # 3, 3, 5 all beat 2, 1, 2
    assert compare_paired(np.ones(2), np.ones(2)).superiority == 0.5


def test_one_seed_says_nothing() -> None:
    paired = compare_paired(np.array([5.0]), np.array([1.0]))
    assert (paired.low, paired.high) == (-np.inf, np.inf)
    assert paired.p == paired.p_exact == 1


def test_equal_differences_have_no_more_than_their_signs() -> None:
    paired = compare_paired(np.full(3, 2.0), np.zeros(3))
    assert (paired.low, paired.high, paired.p) == (2, 2, 0.25)
    assert compare_paired(np.zeros(3), np.zeros(3)).p == 1


@pytest.mark.parametrize(("a", "b"), [((), ()), ((1.0,), (1.0, 2.0))])
def test_arms_must_match(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must have a value each for the same seeds, but got"):
        compare_paired(np.array(a), np.array(b))


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
    return PairedComparison((mean,), mean, mean, mean, 0.0, 0.0, 0.0, 1.0)


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
