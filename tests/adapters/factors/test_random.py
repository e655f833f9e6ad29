"""Factors without the SVD's directions: what they keep of it, and what they are drawn from."""

import pytest
import torch
from torch import Tensor

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.factors.kinds import KINDS

WEIGHT = torch.randn(60, 45, generator=torch.Generator().manual_seed(0))
RANK = 12
DRAWN = ("random", "random_b", "orthogonal")


def made(kind: str, weight: Tensor = WEIGHT, *, seed: int = 42) -> tuple[Tensor, Tensor]:
    return KINDS[kind].make(weight, RANK, seed)


@pytest.mark.parametrize("kind", DRAWN)
def test_rows_and_columns_are_as_long_as_the_svds(kind: str) -> None:
    A, B = made(kind)
    values = torch.linalg.svdvals(WEIGHT)[:RANK]
    torch.testing.assert_close(torch.linalg.vector_norm(A, dim=1), values, rtol=1e-5, atol=0)
    torch.testing.assert_close(torch.linalg.vector_norm(B, dim=0), torch.ones(RANK))


def test_orthogonal_bases_are_orthogonal() -> None:
    A, B = made("orthogonal")
    squares = torch.diag(torch.linalg.svdvals(WEIGHT)[:RANK] ** 2)
    torch.testing.assert_close(A @ A.mT, squares, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(B.mT @ B, torch.eye(RANK), rtol=0, atol=1e-6)


def test_random_directions_are_not_orthogonal_but_nearly() -> None:
    _, B = made("random")
    cosines = (B.mT @ B - torch.eye(RANK)).abs()
    # Of two random directions in 60 dimensions it is 0.13 in the root mean square.
    assert 0.05 < cosines.square().sum().div(RANK * (RANK - 1)).sqrt() < 0.2


def test_random_b_takes_a_of_the_svd_and_b_of_random() -> None:
    A, B = made("random_b")
    assert torch.equal(A, svd_factors(WEIGHT, RANK)[0])
    assert torch.equal(B, made("random")[1])


@pytest.mark.parametrize("kind", ["random", "orthogonal"])
def test_directions_say_nothing_of_the_weight(kind: str) -> None:
    """B A lies as far from W as any update of its size: the SVD's B A is the nearest of all."""
    A, B = made(kind)
    update, norm = B @ A, torch.linalg.matrix_norm
    cosine = (update * WEIGHT).sum() / norm(update) / norm(WEIGHT)
    assert cosine.abs() < 0.1  # 2,700 entries: 0.02 in the root mean square
    best = torch.mm(*svd_factors(WEIGHT, RANK)[::-1])
    assert (best * WEIGHT).sum() / norm(best) / norm(WEIGHT) > 0.6


@pytest.mark.parametrize("kind", DRAWN)
def test_draws_are_the_same_in_another_precision(kind: str) -> None:
    (_, B), (_, of_halves) = made(kind), made(kind, WEIGHT.bfloat16())
    assert torch.equal(B, of_halves)


@pytest.mark.parametrize("kind", DRAWN)
def test_every_matrix_has_draws_of_its_own(kind: str) -> None:
    other = torch.randn(60, 45, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(made(kind)[1], made(kind, other)[1])
