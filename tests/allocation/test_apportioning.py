import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.allocation.apportioning import (
    ranks_by_components,
    ranks_by_share,
    ranks_that_spend,
)
from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.allocation.costs import RankBudget, RankCosts

WANTED = st.lists(st.floats(2, 6), min_size=1, max_size=5)


def _column(*scores: float) -> torch.Tensor:
    return torch.tensor(scores, dtype=torch.float64)[:, None]


def test_share_of_the_budget_is_that_of_the_score() -> None:
    # 2 x 1 entries for all, 24 above them: 1/4 and 3/4 of 24 are 6 and 18
    ranks = ranks_by_share(_column(0.5, 1.5), RankBudget(26, 1, 9))
    assert ranks == pytest.approx([math.sqrt(7), math.sqrt(19)], rel=1e-12)


def test_what_is_over_the_largest_rank_goes_to_the_others() -> None:
    # 3 x 1 for all, 30 above: 90 % of it are more than 4^2 - 1 = 15; the rest is split 1 to 2
    ranks = ranks_by_share(_column(0.9, 0.1 / 3, 0.2 / 3), RankBudget(33, 1, 4))
    assert ranks == pytest.approx([4, math.sqrt(6), math.sqrt(11)], rel=1e-12)


@pytest.mark.parametrize("scores", [(0.0, 0.0, 0.0), (7.0, 7.0, 7.0)])
def test_equal_scores_give_equal_ranks(scores: tuple[float, ...]) -> None:
    assert ranks_by_share(_column(*scores), RankBudget(27, 1, 5)) == pytest.approx([3, 3, 3])


def test_components_are_taken_in_the_order_of_their_scores() -> None:
    scores = torch.tensor([[0.5, 0.4, 0.3, 0.2], [0.9, 0.35, 0.1, 0.0]])
    # ranks (1, 1) cost 2. Then 0.4 (3 entries), 0.35 (3), 0.3 (5): 13; 0.2 costs 7, 0.1 costs 5
    assert ranks_by_components(scores, RankBudget(13, 1, 4)) == [3, 2]
    assert ranks_by_components(scores, RankBudget(17, 1, 4)) == [3, 2]
    # of 5 entries 0.2 can't be paid, and 0.1 can
    assert ranks_by_components(scores, RankBudget(18, 1, 4)) == [3, 3]


def test_components_may_count_one_each() -> None:
    scores = torch.tensor([[0.5, 0.4, 0.3], [0.9, 0.35, 0.1], [0.01, 0.0, 0.0]])
    budget = RankBudget(5, 0, 3, RankCosts(power=1))
    assert ranks_by_components(scores, budget) == [3, 2, 0]


def test_of_equal_components_the_earlier_goes_first() -> None:
    scores = torch.full((3, 4), 0.1)
    assert ranks_by_components(scores, RankBudget(3 + 6, 1, 4)) == [2, 2, 1]


@given(WANTED, st.integers(4, 36))
def test_whole_ranks_are_the_nearest_that_spend_the_budget(
    wanted: list[float], per_matrix: int
) -> None:
    n = len(wanted)
    params = n * per_matrix
    every = list(itertools.product(range(2, 7), repeat=n))
    spent = max(total for ranks in every if (total := sum(r * r for r in ranks)) <= params)
    found = ranks_that_spend(wanted, RankBudget(params, 2, 6))

    def distance(ranks: list[int] | tuple[int, ...]) -> float:
        return sum((rank - real) ** 2 for rank, real in zip(ranks, wanted, strict=True))

    allowed = [ranks for ranks in every if sum(r * r for r in ranks) == spent]
    assert tuple(found) in allowed
    assert distance(found) == pytest.approx(min(map(distance, allowed)), abs=1e-9)


def test_far_ranks_are_found_where_near_ones_do_not_spend_the_budget() -> None:
    # 65 = 49 + 16 = 64 + 1, and 128 = 64 + 64 alone
    assert ranks_that_spend([6.0, 5.9], RankBudget(65, 1, 8)) == [7, 4]
    assert ranks_that_spend([1.0, 1.0], RankBudget(128, 1, 8)) == [8, 8]


@pytest.mark.parametrize("name", CALIBRATIONS)
@given(data=st.data())
def test_calibrated_ranks_spend_the_budget_exactly(name: str, data: st.DataObject) -> None:
    low, high = data.draw(st.integers(1, 4)), data.draw(st.integers(5, 12))
    average = data.draw(st.integers(low, high))
    n = data.draw(st.integers(1, 12))
    width = high if name == "activations" else 1
    score = st.floats(0, 1e6, allow_subnormal=False)
    rows = data.draw(
        st.lists(st.lists(score, min_size=width, max_size=width), min_size=n, max_size=n)
    )
    scores = torch.tensor(rows, dtype=torch.float64).sort(dim=1, descending=True).values
    ranks = CALIBRATIONS[name].ranks(scores, RankBudget(n * average**2, low, high))
    assert sum(rank**2 for rank in ranks) == n * average**2
    assert all(low <= rank <= high for rank in ranks)


@given(WANTED, st.floats(4, 36))
def test_budget_that_no_ranks_spend_is_spent_as_far_as_any_can(
    wanted: list[float], mean: float
) -> None:
    params = len(wanted) * mean
    ranks = ranks_that_spend(wanted, RankBudget(params, 2, 6))
    all_ranks = itertools.combinations_with_replacement(range(2, 7), len(wanted))
    sums = (sum(rank**2 for rank in own) for own in all_ranks)
    assert sum(rank**2 for rank in ranks) == max(one for one in sums if one <= params + 1e-6)


@pytest.mark.parametrize("params", [7.9, 72.1])
def test_budget_beyond_the_bounds_is_refused(params: float) -> None:
    with pytest.raises(ValueError, match=rf"within 8 \.\.\. 72 parameters, but got {params}"):
        ranks_that_spend([2.0, 3.0], RankBudget(params, 2, 6))


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_scores_that_are_not_finite_are_refused(name: str) -> None:
    scores = torch.tensor([[1.0, 0.5], [math.nan, 0.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="scores must be finite, but got NaN or infinity"):
        CALIBRATIONS[name].ranks(scores, RankBudget(4, 1, 2))
