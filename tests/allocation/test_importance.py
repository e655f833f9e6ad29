"""Cuts by importance: the budget's stairs, the averages, the shells, and which ones go."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.allocation.importance import (
    cut_ranks,
    shrunk_budget,
    smooth_importance,
)


def _budget(step: int, every: int = 1) -> float:
    return shrunk_budget(step, start=100, end=20, first=10, last=30, every=every)


def test_budget_falls_on_a_cubic_by_hand() -> None:
    # half way: 20 + 80 / 8; a quarter: 20 + 80 * (3/4)^3
    assert [_budget(s) for s in (0, 10, 15, 20, 30, 99)] == [100, 100, 53.75, 30, 20, 20]


def test_budget_falls_in_stairs() -> None:
    assert _budget(14, every=5) == 100
    assert _budget(15, every=5) == _budget(19, every=5) == _budget(15)
    assert _budget(30, every=7) == 20  # the last step down need not be a whole stair


def test_budget_without_a_fall_jumps() -> None:
    values = [shrunk_budget(s, start=9, end=4, first=5, last=5, every=3) for s in (4, 5, 6)]
    assert values == [9, 4, 4]


def test_averages_by_hand() -> None:
    # I = 4: I~ = 0.75 * 2 + 0.25 * 4 = 2.5, U~ = 0.5 * 1 + 0.5 * |4 - 2.5| = 1.25
    sensitivity, uncertainty = torch.full((1, 1, 1, 1), 2.0), torch.ones(1, 1, 1, 1)
    latest = torch.full((1, 1, 1, 1), 4.0)
    smooth_importance(
        sensitivity, uncertainty, latest, beta1=torch.tensor([0.75]), beta2=torch.tensor([0.5])
    )
    assert (sensitivity.item(), uncertainty.item()) == pytest.approx((2.5, 1.25))


def test_least_outermost_shell_goes_first() -> None:
    # ranks 3 and 3 spend 18: the outermost shell with score 4 goes, for 0.1 lies behind 5
    scores = [[9.0, 0.1, 5.0], [9.0, 8.0, 4.0]]
    assert cut_ranks([3, 3], scores, 13, rank_min=1) == [3, 2]
    # then the one with score 5: 8 are spent, and a shell of 5 entries has no room
    assert cut_ranks([3, 3], scores, 10, rank_min=1) == [2, 2]


def test_what_is_left_over_brings_shells_back() -> None:
    # of 20 entries first 3 go, then 7, which leaves 10 of 15: the 3 have room again
    scores = [[9.0, 9.0, 9.0, 2.0], [9.0, 1.0, 0.0, 0.0]]
    assert cut_ranks([4, 2], scores, 15, rank_min=1) == [3, 2]


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=1, max_size=6),
    st.floats(0, 1),
)
def test_cut_ranks_hold_the_budget(scores: list[list[float]], part: float) -> None:
    n = len(scores)
    budget = n * (4 + part * 32)
    ranks = cut_ranks([6] * n, scores, budget, rank_min=2)
    spent = sum(rank * rank for rank in ranks)
    assert spent <= budget and all(2 <= rank <= 6 for rank in ranks)
    # no dropped shell would still fit
    assert all(rank == 6 or spent + 2 * rank + 1 > int(budget + 1e-6) for rank in ranks)
    assert cut_ranks(ranks, scores, budget, rank_min=2) == ranks
