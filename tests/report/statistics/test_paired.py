"""Paired comparisons: against scipy's tests, and by hand."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lora_sweep.report.statistics.moderation import moderate_variances
from lora_sweep.report.statistics.paired import PairedComparison, compare_paired, holm, judge

D = np.array([1.0, 2.0, 3.0, 2.5])


def test_one_comparison_is_scipys_t_tests_against_the_region() -> None:
    (paired,) = compare_paired([D], region=0.5)
    assert (paired.mean, paired.median) == (D.mean(), 2.25)
    p = {
        "above": stats.ttest_1samp(D, 0.5, alternative="greater").pvalue,
        "below": stats.ttest_1samp(D, -0.5, alternative="less").pvalue,
        "inside": stats.ttest_1samp(D, 0.5, alternative="less").pvalue,
    }
    assert (paired.p_better, paired.p_worse, paired.p_equivalent) == pytest.approx(
        tuple(p.values())
    )
    interval = stats.ttest_1samp(D, 0.0).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((interval.low, interval.high))


def test_inside_the_region_both_sides_must_hold() -> None:
    d = np.array([-0.1, 0.1, 0.0, 0.05, -0.02])
    (paired,) = compare_paired([d], region=0.5)
    sides = [
        stats.ttest_1samp(d, edge, alternative=side).pvalue
        for edge, side in ((0.5, "less"), (-0.5, "greater"))
    ]
    assert paired.p_equivalent == pytest.approx(max(sides))


def test_tests_share_spread_and_intervals_do_not() -> None:
    other = np.array([0.0, 4.0, 8.0])
    alone = compare_paired([D], region=0.0)[0]
    first, second = compare_paired([D, other], region=0.0)
    variances, df = moderate_variances(np.array([D.var(ddof=1), 16.0]), np.array([3.0, 2.0]))
    assert (first.spread**2, second.spread**2) == pytest.approx(tuple(variances))
    assert first.p_better == pytest.approx(stats.t.sf(D.mean() * 2 / variances[0] ** 0.5, df[0]))
    assert (first.low, first.high) == (alone.low, alone.high)


ONE_EXAMPLE = [100 * (16 / 18 - 15 / 18), 100 * (14 / 18 - 13 / 18)]
"""One of 18 dev examples more, at either seed: equal but for rounding."""


@pytest.mark.parametrize("d", [[], [1.0], [2.0, 2.0, 2.0], ONE_EXAMPLE])
def test_differences_without_spread_say_nothing(d: list[float]) -> None:
    (paired,) = compare_paired([np.array(d)], region=0.5)
    assert (paired.p_better, paired.p_worse, paired.p_equivalent) == (1, 1, 1)
    assert (paired.low, paired.high) == (-np.inf, np.inf)
    assert paired.mean == pytest.approx(d[0]) if d else np.isnan(paired.mean)


def test_differences_without_spread_are_left_out_of_the_others() -> None:
    equal, other = np.full(5, 3.125), np.array([0.0, 4.0, 8.0])
    first, tied, second = compare_paired([D, equal, other], region=0.5)
    assert [first, second] == compare_paired([D, other], region=0.5)
    assert np.isnan(tied.spread) and tied.p_better == 1


def _with(better: float, worse: float, equivalent: float) -> PairedComparison:
    p = {"p_better": better, "p_worse": worse, "p_equivalent": equivalent}
    return dataclasses.replace(compare_paired([D], region=0.5)[0], **p)


@pytest.mark.parametrize(
    ("p", "claim"),
    [
        ((0.05, 0.9, 0.9), "better"),
        ((0.9, 0.05, 0.9), "worse"),
        ((0.9, 0.9, 0.05), "equivalent"),
        ((0.051, 0.9, 0.9), "not resolved"),
    ],
)
def test_claim_has_the_smallest_p(p: tuple[float, float, float], claim: str) -> None:
    (verdict,) = judge([_with(*p)])
    assert (verdict.claim, verdict.p) == (claim, min(p))


def test_each_kind_of_claim_is_a_family() -> None:
    first, second = judge([_with(0.04, 0.9, 0.9), _with(0.9, 0.9, 0.02)])
    assert (first.claim, first.p) == ("not resolved", pytest.approx(0.08))
    assert (second.claim, second.p) == ("equivalent", pytest.approx(0.04))
    assert judge([]) == []


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
