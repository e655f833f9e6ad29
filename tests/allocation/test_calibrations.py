"""What calibrations measure, where it can be worked by hand."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.allocation.calibration_inputs import CalibrationInputs


def _nothing() -> Iterator[Sequence[Tensor]]:
    raise AssertionError("is not asked for")


def _scores(
    name: str,
    *,
    gradients: Sequence[Sequence[Tensor]] | None = None,
    activations: Sequence[Sequence[Tensor]] | None = None,
    weights: Sequence[Tensor] = (),
) -> Tensor:
    inputs = CalibrationInputs(
        weights=weights,
        gradients=_nothing if gradients is None else lambda: iter(gradients),
        activations=_nothing if activations is None else lambda: iter(activations),
        rank_max=2,
    )
    return CALIBRATIONS[name].scores(inputs)


G = [
    [torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0], [2.0]])],
    [torch.tensor([[3.0, 0.0]]), torch.tensor([[4.0], [-2.0]])],
]
"""Of two batches, for matrices (1, 2) and (2, 1)."""


def test_fisher_is_the_mean_squared_gradient() -> None:
    # (1 + 4 + 9 + 0) / 4 and (0 + 4 + 16 + 4) / 4
    assert _scores("fisher", gradients=G).tolist() == [[3.5], [6.0]]


def test_gora_is_the_mean_size_of_weight_times_mean_gradient() -> None:
    weights = [torch.tensor([[-1.0, 3.0]]), torch.tensor([[2.0], [5.0]])]
    # mean gradients (2, -1) and (2, 0): (2 + 3) / 2 and (4 + 0) / 2
    assert _scores("gora", gradients=G, weights=weights).tolist() == [[2.5], [2.0]]


def test_activations_are_ratios_of_the_covariances_eigenvalues() -> None:
    # the variances along the axes are 9/2 and 1/2 around the mean (5, 7); turned by 45 degrees,
    # the components are the same
    points = torch.tensor([[8.0, 7.0], [2.0, 7.0], [5.0, 8.0], [5.0, 6.0]])
    turn = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / 2**0.5
    of_batches = [[points[:1], points[:1] @ turn], [points[1:], points[1:] @ turn]]
    scores = _scores("activations", activations=of_batches)
    torch.testing.assert_close(scores, torch.tensor([[0.9, 0.1]] * 2).double(), rtol=1e-5, atol=0)


def test_inputs_that_never_change_explain_nothing() -> None:
    scores = _scores("activations", activations=[[torch.full((5, 3), 0.25)]])
    assert scores.tolist() == [[0.0, 0.0]]


def test_half_precision_is_added_up_in_float32() -> None:
    tiny = [[torch.full((4, 4), 2.0**-70, dtype=torch.bfloat16)]]
    assert _scores("fisher", gradients=tiny).item() == pytest.approx(2.0**-140, rel=1e-6, abs=0)
