"""Mean squared gradient of every matrix: the diagonal of its empirical Fisher information."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lora_sweep.allocation.calibration_inputs import CalibrationInputs

if TYPE_CHECKING:
    from torch import Tensor


def mean_squared_gradients(inputs: CalibrationInputs) -> Tensor:
    """Returns a score a matrix (N, 1), float64, at least 0.

    s_i = mean over batches t and entries (a, b) of G_it[a, b]^2,
    G_it = gradient of batch t's mean loss in W_i

    Args:
        inputs: what the batches give.

    Source: FIM-LoRA (arXiv 2605.16800), which takes the gradient of LoRA's B. That it is the whole
    weight's here is ours: it depends on no factors and no rank.
    """
    import torch

    means = [
        torch.stack([gradient.float().square().mean() for gradient in of_batch]).double()
        for of_batch in inputs.gradients()
    ]  # of every batch (N,)
    return torch.stack(means).mean(dim=0)[:, None].cpu()
