"""Mean size of gradient times weight of every matrix: how much the loss hangs on its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lora_sweep.allocation.calibration_inputs import CalibrationInputs

if TYPE_CHECKING:
    from torch import Tensor


def mean_gradient_times_weight(inputs: CalibrationInputs) -> Tensor:
    """Returns a score a matrix (N, 1), float64, at least 0.

    s_i = mean over entries (a, b) of |W_i[a, b] G_i[a, b]|,
    G_i = mean over the batches of the gradient of their mean loss in W_i

    Args:
        inputs: what the batches give.

    Source: GoRA (arXiv 2502.12171), its importance of a weight.
    """
    import torch

    totals: list[Tensor] = []
    n_batches = 0
    for of_batch in inputs.gradients():
        n_batches += 1
        if not totals:
            totals = [torch.zeros_like(gradient, dtype=torch.float32) for gradient in of_batch]
        for total, gradient in zip(totals, of_batch, strict=True):
            total.add_(gradient)
    products = zip(inputs.weights, totals, strict=True)
    means = [(weight.float() * total).abs().mean() for weight, total in products]
    return (torch.stack(means).double() / n_batches)[:, None].cpu()
