from typing import get_args, get_type_hints

import pytest
import torch

from lora_sweep.adapters.factors.kinds import KINDS, Recipe
from lora_sweep.config.schema import ModelConfig
from lora_sweep.errors import SettingError

WEIGHT = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
SEED = 3


def test_the_setting_has_every_kind() -> None:
    assert set(get_args(get_type_hints(ModelConfig)["factors"])) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_factors_have_rank_shape_and_type(kind: str) -> None:
    A, B = Recipe(kind, SEED).make(WEIGHT, 4)
    assert A.shape == (4, 30) and B.shape == (40, 4)
    assert A.dtype == B.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_nest_as_they_say(kind: str) -> None:
    (A, B), (A_small, B_small) = (Recipe(kind, SEED).make(WEIGHT, rank) for rank in (8, 5))
    is_alike = [torch.equal(A[:5], A_small), torch.equal(B[:, :5], B_small)]
    assert is_alike == [KINDS[kind].nests] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_count_as_kinds_say(kind: str) -> None:
    first, again, other = (Recipe(kind, seed).make(WEIGHT, 5) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    is_alike = all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert is_alike != KINDS[kind].is_seeded


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [0, 31])
def test_kinds_refuse_ranks_out_of_range(kind: str, rank: int) -> None:
    with pytest.raises(ValueError, match=rf"rank must be within 1 ... 30 .*but got {rank}"):
        Recipe(kind, SEED).make(WEIGHT, rank)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_refuse_weights_with_nan(kind: str) -> None:
    with pytest.raises(ValueError, match="weight must be finite"):
        Recipe(kind, SEED).make(torch.full((3, 3), torch.nan), 1)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(SettingError, match=r"factors must be one of exact, .*but got 'best'"):
        Recipe("best")


def test_kind_that_draws_wants_a_seed() -> None:
    with pytest.raises(SettingError, match="factors_seed must be given with factors=randomised"):
        Recipe("randomised")
