"""Every combination that a search space lets through is one that the config takes."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lora_sweep.errors import SettingError
from lora_sweep.search.space import RANKS, Space, in_words

FIXED = {"rank.min": 2, "rank.average": 5, "rank.max": 9}
bounds = st.tuples(st.integers(1, 8), st.integers(1, 8)).map(lambda pair: (min(pair), max(pair)))
spaces = st.fixed_dictionaries(dict.fromkeys(RANKS, bounds))


def is_ordered(ranks: dict[str, Any]) -> bool:
    return bool(ranks["rank.min"] <= ranks["rank.average"] <= ranks["rank.max"])


def possible_by_trying(own: dict[str, tuple[int, int]]) -> list[dict[str, int]]:
    """All ordered combinations, the slow way."""
    ranges = [range(own[name][0], own[name][1] + 1) for name in RANKS]
    combined = [dict(zip(RANKS, values, strict=True)) for values in product(*ranges)]
    return [one for one in combined if is_ordered(one)]


def space_of(own: dict[str, tuple[int, int]]) -> Space:
    return Space.of({name: IntDistribution(*own[name]) for name in RANKS}, {})


@given(spaces, st.permutations(RANKS), st.data())
def test_possible_values_are_those_of_some_combination(
    own: dict[str, tuple[int, int]], order: list[str], data: st.DataObject
) -> None:
    left = possible_by_trying(own)
    if not left:
        with pytest.raises(SettingError, match=r"must be possible within the search's bounds"):
            space_of(own)
        return
    space, decided = space_of(own), dict[str, int]()
    for name in order:
        possible = space.possible(name, decided)
        assert possible == sorted({one[name] for one in left})
        decided[name] = data.draw(st.sampled_from(possible))
        left = [one for one in left if one[name] == decided[name]]
    assert is_ordered(decided)


@given(spaces, st.data())
def test_repaired_ranks_are_possible_and_possible_ones_stay(
    own: dict[str, tuple[int, int]], data: st.DataObject
) -> None:
    combinations = possible_by_trying(own)
    if not combinations:
        return
    proposed = {name: data.draw(st.integers(*own[name])) for name in RANKS}
    repaired = space_of(own).repaired(proposed)
    assert repaired in combinations
    assert list(repaired) == list(proposed)
    assert not is_ordered(proposed) or repaired == proposed


def test_combinations_are_the_possible_ones_of_the_product() -> None:
    distributions: dict[str, BaseDistribution] = {
        "rank.min": CategoricalDistribution([1, 6]),
        "rank.average": IntDistribution(4, 8, step=4),
        "lr": CategoricalDistribution([0.1, 0.2]),
    }
    found = Space.of(distributions, FIXED).combinations()
    ranks = [(1, 4), (1, 8), (6, 8)]
    assert [tuple(one.values()) for one in found] == [(*r, lr) for r in ranks for lr in (0.1, 0.2)]


def test_continuous_range_is_no_part_of_a_grid() -> None:
    space = Space.of({"lr": FloatDistribution(0.1, 0.2)}, FIXED)
    with pytest.raises(
        SettingError, match=r"lr must be a list of values .* but got the range 0.1"
    ):
        space.combinations()


def test_rank_that_is_fixed_bounds_the_others() -> None:
    space = Space.of({"rank.average": IntDistribution(1, 20)}, FIXED)
    assert space.possible("rank.average", {}) == list(range(2, 10))


@pytest.mark.parametrize("choices", [(1.5, 3), ("a",), (True, 3)], ids=str)
def test_rank_that_is_no_integer_is_refused(choices: tuple[Any, ...]) -> None:
    with pytest.raises(SettingError, match=r"rank.max must be searched among integers"):
        Space.of({"rank.max": CategoricalDistribution(choices)}, FIXED)


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.0123456, 0.01235), (0.100001, 0.1), (0.9, 0.5)], ids=str
)
def test_real_numbers_have_four_digits_within_bounds(value: float, rounded: float) -> None:
    space = Space.of({"lr": FloatDistribution(0.0123, 0.5)}, FIXED)
    assert space.nearest("lr", value, {}) == rounded


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        (IntDistribution(1, 15), "1 ... 15"),
        (IntDistribution(1, 15, step=2), "1 ... 15, in steps of 2"),
        (FloatDistribution(1, 15), "1.0 ... 15.0"),
        (FloatDistribution(1, 15, step=1), "1.0 ... 15.0, in steps of 1.0"),
        (FloatDistribution(0.001, 0.1, log=True), "0.001 ... 0.1, logarithmic"),
        (CategoricalDistribution([1, 2]), "1, 2"),
        (CategoricalDistribution(["1", "2"]), "'1', '2'"),
    ],
)
def test_different_values_have_different_words(distribution: BaseDistribution, words: str) -> None:
    assert in_words(distribution) == words


def test_average_that_is_not_searched_may_be_any_number() -> None:
    space = Space.of({"rank.max": IntDistribution(20, 30)}, FIXED | {"rank.average": 23.7})
    assert space.possible("rank.max", {}) == list(range(24, 31))
