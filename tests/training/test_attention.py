"""The attention of length groups against its definition, text by text, differentiated by torch."""

import math

import pytest
import torch
from torch import Tensor

from lora_sweep.training.attention import _Attention, _Group

D_HEAD, SCALING = 4, 0.5
LENGTHS = ((2, 3, 3), (5, 1))  # real tokens of the rows of two groups, of 3 and 5 places


def _rows(seed: int) -> Tensor:
    n = sum(len(real) * max(real) for real in LENGTHS)
    return torch.randn(n, D_HEAD, generator=torch.Generator().manual_seed(seed))


def _groups(has_factors: bool) -> tuple[_Group, ...]:
    generator = torch.Generator().manual_seed(7)
    groups = []
    for real in LENGTHS:
        length = max(real)
        bias = torch.zeros(len(real), 1, length)
        for row, n in enumerate(real):
            bias[row, :, n:] = -math.inf
        drawn = torch.rand(len(real), 1, length, length, generator=generator)
        groups.append(_Group(length, bias, (drawn > 0.3) / 0.7 if has_factors else None))
    return tuple(groups)


def _by_definition(q: Tensor, k: Tensor, v: Tensor, groups: tuple[_Group, ...]) -> Tensor:
    """Each row attends to its real tokens alone."""
    mixed, start = [], 0
    for group, real in zip(groups, LENGTHS, strict=True):
        for row, n in enumerate(real):
            own = slice(start, start + n)
            weights = torch.softmax(SCALING * q[start : start + group.length] @ k[own].T, dim=1)
            if group.factor is not None:
                weights = weights * group.factor[row, 0, :, :n]
            mixed.append(weights @ v[own])
            start += group.length
    return torch.cat(mixed)


@pytest.mark.parametrize("has_factors", [False, True], ids=["whole", "dropped"])
def test_attention_and_its_gradients_are_those_of_the_definition(has_factors: bool) -> None:
    inputs = [_rows(seed).requires_grad_() for seed in (0, 1, 2)]
    groups, gradient = _groups(has_factors), _rows(3)
    mixed: Tensor = _Attention.apply(*inputs, groups, SCALING)  # type: ignore[no-untyped-call]
    expected = _by_definition(*inputs, groups)
    torch.testing.assert_close(mixed, expected, rtol=0, atol=1e-6)
    for own, other in zip(
        torch.autograd.grad(mixed, inputs, gradient),
        torch.autograd.grad(expected, inputs, gradient),
        strict=True,
    ):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-5)
