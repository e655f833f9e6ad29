import torch
from torch import Tensor

from lora_sweep.padding import Padding, pad, unpad, zero_padded

# owners with 2 and 1 rows, in a layout of (2, 2); row 2 again at padding
PADDING = Padding(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 2]))
ROWS = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def test_padding_repeats_the_owners_row() -> None:
    assert pad(ROWS, PADDING).tolist() == [[1, 2], [3, 4], [5, 6], [5, 6]]


def test_zeros_stand_at_padding() -> None:
    assert zero_padded(ROWS, PADDING).tolist() == [[1, 2], [3, 4], [5, 6], [0, 0]]


def test_there_and_back_is_the_identity() -> None:
    assert torch.equal(unpad(pad(ROWS, PADDING), PADDING), ROWS)


def test_spare_rows_are_zero_and_get_no_gradient() -> None:
    padding = PADDING._replace(spare=torch.tensor([3]))
    spare = torch.tensor([[torch.inf, torch.nan]])
    rows = torch.cat([ROWS, spare]).requires_grad_()
    layout = pad(rows, padding)
    assert torch.equal(layout, pad(ROWS, PADDING))
    assert torch.equal(zero_padded(rows.detach(), padding), zero_padded(ROWS, PADDING))
    assert unpad(layout, padding).tolist() == [*ROWS.tolist(), [0, 0]]
    weights = torch.tensor([[1.0], [2.0], [3.0], [100.0]])
    assert _gradient(rows, layout, weights) == [[1, 1], [2, 2], [3, 3], [0, 0]]
    places = torch.zeros(4, 2, requires_grad=True)
    gradient = _gradient(places, unpad(places, padding), weights)
    assert gradient == [[1, 1], [2, 2], [3, 3], [0, 0]]


def _gradient(x: Tensor, y: Tensor, weights: Tensor) -> list[list[float]]:
    (gradient,) = torch.autograd.grad((y * weights).sum(), x)
    rows: list[list[float]] = gradient.tolist()
    return rows


def test_gradient_at_padding_is_dropped() -> None:
    rows, weights = ROWS.clone().requires_grad_(), torch.tensor([[1.0], [2.0], [3.0], [100.0]])
    assert _gradient(rows, pad(rows, PADDING), weights) == [[1, 1], [2, 2], [3, 3]]


def test_gradient_of_what_was_padding_is_zero() -> None:
    places = torch.zeros(4, 2, requires_grad=True)
    weights = torch.tensor([[1.0], [2.0], [3.0]])
    gradient = _gradient(places, unpad(places, PADDING), weights)
    assert gradient == [[1, 1], [2, 2], [3, 3], [0, 0]]
