"""Init schedules: number of adapted matrices N -> starting allocation logits w (N,).

A schedule is a function of N and of the run's own generator; most ignore the generator. Along
depth, i = 0 ... N-1 is the position of the adapted matrix in module order.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

InitSchedule = Callable[[int, torch.Generator], Tensor]


def uniform(n_matrices: int, generator: torch.Generator) -> Tensor:
    """Returns zeros (N,): every matrix starts with the same rank.

    Source: the published study, `uniform`.
    """
    return torch.zeros(n_matrices, dtype=torch.float64)


def randn(n_matrices: int, generator: torch.Generator) -> Tensor:
    """Returns independent draws (N,) from N(0, 1).

    Source: the published study, `randn`.
    """
    return torch.randn(n_matrices, dtype=torch.float64, generator=generator)


def quadratic(n_matrices: int, generator: torch.Generator) -> Tensor:
    """Returns a bell over depth (N,), largest in the middle.

    w_i = exp(-(i - c)^2 / (2 sigma^2)),  c = floor(N / 2),  sigma = N / (2 sqrt(10))

    Source: the published study, `quadratic`.
    """
    return _bell(n_matrices, n_matrices // 2, left=0.5, right=0.5)


def left_skewed(n_matrices: int, generator: torch.Generator) -> Tensor:
    """Returns a bell over depth (N,) with its peak at three quarters and a long tail to the left.

    w_i = exp(-(i - c)^2 / (2 sigma_i^2)),  c = floor(3 N / 4),
    sigma_i = 3 N / (4 sqrt(10)) for i <= c,  N / (4 sqrt(10)) for i > c

    Source: the published study, `left skewed (centered at 3/4*n)`.
    """
    return _bell(n_matrices, 3 * n_matrices // 4, left=0.75, right=0.25)


INIT_SCHEDULES: dict[str, InitSchedule] = {
    "uniform": uniform,
    "randn": randn,
    "quadratic": quadratic,
    "left_skewed": left_skewed,
}


def starting_logits(name: str, n_matrices: int, generator: torch.Generator) -> Tensor:
    """Returns the starting allocation logits of a schedule.

    Args:
        name: one of `INIT_SCHEDULES`.
        n_matrices: N, at least 1.
        generator: the run's own, used by schedules that draw.

    Returns:
        Logits (N,), float64.

    Raises:
        ValueError: unknown name, or no matrix.
    """
    if name not in INIT_SCHEDULES:
        raise ValueError(f"init must be one of {', '.join(INIT_SCHEDULES)}, but got {name!r}")
    if n_matrices < 1:
        raise ValueError(f"n_matrices must be at least 1, but got {n_matrices}")
    return INIT_SCHEDULES[name](n_matrices, generator)


def _bell(n_matrices: int, center: int, *, left: float, right: float) -> Tensor:
    """Bell with a width of its own on each side, in units of N / sqrt(10)."""
    i = torch.arange(n_matrices, dtype=torch.float64)
    side = torch.where(i <= center, left, right).double()
    width = side * n_matrices / math.sqrt(10)
    return torch.exp(-((i - center) ** 2) / (2 * width**2))
