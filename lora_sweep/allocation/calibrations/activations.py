"""Explained variance of the principal components of what goes into every matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lora_sweep.allocation.calibration_inputs import CalibrationInputs

if TYPE_CHECKING:
    from torch import Tensor


def explained_variance_ratios(inputs: CalibrationInputs) -> Tensor:
    """Returns a score a matrix and component (N, rank_max), float64, largest first, 0 to 1.

    rho_ik = lambda_ik / sum_l lambda_il, with lambda_i1 >= lambda_i2 >= ... the eigenvalues of the
    covariance of matrix i's inputs x (d_in,), over all real tokens of all batches

    Inputs that never change explain nothing: their ratios are 0.

    Args:
        inputs: what the batches give.

    Source: EVA (arXiv 2410.07170). It follows the components batch by batch and stops once they
    stay; the exact ones of all batches together are ours.
    """
    import torch

    scatters: list[Tensor] = []
    sums: list[Tensor] = []
    n_tokens = 0
    for of_batch in inputs.activations():
        tokens = [x.double() for x in of_batch]  # (T, d_in) each
        n_tokens += len(tokens[0])
        if not scatters:
            scatters = [x.new_zeros(x.shape[1], x.shape[1]) for x in tokens]
            sums = [x.new_zeros(x.shape[1]) for x in tokens]
        for scatter, total, x in zip(scatters, sums, tokens, strict=True):
            scatter.addmm_(x.mT, x)
            total.add_(x.sum(dim=0))
    ratios = [
        _ratios(scatter / n_tokens - torch.outer(total, total) / n_tokens**2, inputs.rank_max)
        for scatter, total in zip(scatters, sums, strict=True)
    ]
    return torch.stack(ratios).cpu()


def _ratios(covariance: Tensor, n: int) -> Tensor:
    """The n largest eigenvalues (n,) over the sum of all."""
    import torch

    eigenvalues = torch.linalg.eigvalsh(covariance).clamp(min=0).flip(0)
    whole = eigenvalues.sum().clamp(min=torch.finfo(torch.float64).tiny)
    ratios: Tensor = eigenvalues[:n] / whole
    return ratios
