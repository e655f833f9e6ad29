"""Init schedules: what is known of N adapted matrices -> starting allocation logits w (N,).

A schedule takes what it needs of `InitInputs`; most need the number of matrices alone. Along
depth, i = 0 ... N-1 is the position of the adapted matrix in module order. To add one: its
function and its entry in `INIT_SCHEDULES` here, and `conf/init/NAME.yaml`.

Every command reads the names of the schedules, so torch is loaded by those that compute.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FROM_RUN = "from_run"
"""The init of a run whose logits, or ranks, are another run's."""


@dataclass(frozen=True)
class InitInputs:
    """All that a schedule may use.

    Attributes:
        spectra: leading singular values of every matrix (N, rank_max), largest first.
        generator: the run's own, for schedules that draw.
        values: logits of one's own, one a matrix; None where the run has none.
    """

    spectra: Tensor
    generator: torch.Generator
    values: tuple[float, ...] | None = None

    @property
    def n_matrices(self) -> int:
        """N."""
        return len(self.spectra)


InitSchedule = Callable[[InitInputs], "Tensor"]


def uniform(inputs: InitInputs) -> Tensor:
    """Returns zeros (N,): every matrix starts with the same rank.

    Source: the published study, `uniform`.
    """
    import torch

    return torch.zeros(inputs.n_matrices, dtype=torch.float64)


def randn(inputs: InitInputs) -> Tensor:
    """Returns independent draws (N,) from N(0, 1).

    Source: the published study, `randn`.
    """
    import torch

    return torch.randn(inputs.n_matrices, dtype=torch.float64, generator=inputs.generator)


def quadratic(inputs: InitInputs) -> Tensor:
    """Returns a bell over depth (N,), largest in the middle.

    w_i = exp(-(i - c)^2 / (2 sigma^2)),  c = floor(N / 2),  sigma = N / (2 sqrt(10))

    Source: the published study, `quadratic`.
    """
    n = inputs.n_matrices
    return _bell(n, n // 2, left=0.5, right=0.5)


def left_skewed(inputs: InitInputs) -> Tensor:
    """Returns a bell over depth (N,) with its peak at three quarters and a long tail to the left.

    w_i = exp(-(i - c)^2 / (2 sigma_i^2)),  c = floor(3 N / 4),
    sigma_i = 3 N / (4 sqrt(10)) for i <= c,  N / (4 sqrt(10)) for i > c

    Source: the published study, `left skewed (centered at 3/4*n)`.
    """
    n = inputs.n_matrices
    return _bell(n, 3 * n // 4, left=0.75, right=0.25)


def right_skewed(inputs: InitInputs) -> Tensor:
    """Returns the mirror of `left_skewed` (N,): peak at one quarter, a long tail to the right.

    w_i = left_skewed_{N-1-i}, that is
    w_i = exp(-(i - c)^2 / (2 sigma_i^2)),  c = N - 1 - floor(3 N / 4),
    sigma_i = N / (4 sqrt(10)) for i < c,  3 N / (4 sqrt(10)) for i >= c

    Source: ours.
    """
    return left_skewed(inputs).flip(0)


def linear(inputs: InitInputs) -> Tensor:
    """Returns a line over depth (N,): 0 at the first matrix, 1 at the last.

    w_i = i / (N - 1);  0 for N = 1

    Source: ours; 0 to 1 is the span of the bells.
    """
    import torch

    return torch.linspace(0, 1, inputs.n_matrices, dtype=torch.float64)


def spectral(inputs: InitInputs) -> Tensor:
    """Returns the log energy of every matrix's leading singular values (N,), with mean 0.

    w_i = log E_i - mean_j log E_j,  E_i = sum over k = 1 ... rank_max of S_ik^2

    A run spends its budget by softmax(w), so what a matrix gets above rank_min^2 starts in
    proportion to E_i. For inputs x without a preferred direction E_i is E|A_i x|^2, with A_i at
    rank_max: how strongly the matrix drives its R, and so how large R's gradient is. An energy
    below 1e-12 of the largest one counts as that much.

    Source: ours.
    """
    energy = inputs.spectra.double().square().sum(dim=1)  # (N,)
    least = max(1e-12 * float(energy.max()), sys.float_info.min)
    log_energy = energy.clamp(min=least).log()
    return log_energy - log_energy.mean()


def values(inputs: InitInputs) -> Tensor:
    """Returns the logits that were given (N,).

    Raises:
        ValueError: there are none, or not one a matrix.

    Source: ours.
    """
    import torch

    given, n = inputs.values, inputs.n_matrices
    if given is None or len(given) != n:
        n_given = "none" if given is None else len(given)
        raise ValueError(f"init.values must have one logit a matrix, {n}, but got {n_given}")
    return torch.tensor(given, dtype=torch.float64)


INIT_SCHEDULES: dict[str, InitSchedule] = {
    "uniform": uniform,
    "randn": randn,
    "quadratic": quadratic,
    "left_skewed": left_skewed,
    "right_skewed": right_skewed,
    "linear": linear,
    "spectral": spectral,
    "values": values,
}


def starting_logits(name: str, inputs: InitInputs) -> Tensor:
    """Returns the starting allocation logits of a schedule.

    Args:
        name: one of `INIT_SCHEDULES`.
        inputs: what it may use, of at least one matrix.

    Returns:
        Logits (N,), float64.

    Raises:
        ValueError: unknown name, no matrix, or values that don't fit.
    """
    if name not in INIT_SCHEDULES:
        raise ValueError(f"init must be one of {', '.join(INIT_SCHEDULES)}, but got {name!r}")
    if inputs.n_matrices < 1:
        raise ValueError(f"n_matrices must be at least 1, but got {inputs.n_matrices}")
    return INIT_SCHEDULES[name](inputs)


def _bell(n_matrices: int, center: int, *, left: float, right: float) -> Tensor:
    """Bell with a width of its own on each side, in units of N / sqrt(10)."""
    import torch

    i = torch.arange(n_matrices, dtype=torch.float64)
    side = torch.where(i <= center, left, right).double()
    width = side * n_matrices / math.sqrt(10)
    return torch.exp(-((i - center) ** 2) / (2 * width**2))
