import pytest
import torch
from torch import Tensor, nn

from lora_sweep.adapters.layer import set_updates
from lora_sweep.adapters.lora_layer import LoRALinear, Pairs
from lora_sweep.padding import Padding

D_OUT, D_IN, R = 5, 4, 2
# run 0 has tokens 0-3, run 1 token 4: places 0-3 and 4 of (2, 4), token 4 again at padding
UNEQUAL = Padding(torch.tensor([0, 1, 2, 3, 4, 4, 4, 4]), torch.arange(5))
RUN_OF = (0, 0, 0, 0, 1)


def _layer() -> LoRALinear:
    torch.manual_seed(0)
    return LoRALinear(nn.Linear(D_IN, D_OUT).double())


def _random(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def _pairs(n_runs: int) -> Pairs:
    return Pairs(_random(n_runs, R, D_IN, seed=2), _random(n_runs, D_OUT, R, seed=3))


def _expected(layer: LoRALinear, token: Tensor, pairs: Pairs, run: int, kept: Tensor) -> Tensor:
    """W x + b + B A (f x) of one token."""
    frozen = nn.functional.linear(token, layer.weight, layer.bias)
    return frozen + pairs.B[run] @ (pairs.A[run] @ (kept * token))


@pytest.mark.parametrize("drops", [False, True], ids=["whole", "dropped"])
def test_layer_adds_each_runs_own_update(drops: bool) -> None:
    layer, x, pairs = _layer(), _random(1, 5, D_IN), _pairs(2)
    kept = (_random(5, D_IN, seed=4) > 0).double() * 2 if drops else torch.ones(5, D_IN)
    layer.kept = kept if drops else None
    set_updates([layer], [pairs], UNEQUAL)
    for place, (token, y) in enumerate(zip(x[0], layer(x)[0], strict=True)):
        expected = _expected(layer, token, pairs, RUN_OF[place], kept[place])
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)


def test_layer_follows_runs_of_equal_shares() -> None:
    layer, x, pairs = _layer(), _random(6, D_IN), _pairs(3)
    set_updates([layer], [pairs])
    ones = torch.ones(D_IN, dtype=torch.float64)
    for place, (token, y) in enumerate(zip(x, layer(x), strict=True)):
        expected = _expected(layer, token, pairs, place // 2, ones)
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("runs", [None, UNEQUAL], ids=["one-run", "unequal-runs"])
def test_gradients_are_the_numerical_ones(runs: Padding | None) -> None:
    layer = _layer()

    def outputs(x: Tensor, A: Tensor, B: Tensor) -> Tensor:
        set_updates([layer], [Pairs(A, B)], runs)
        y: Tensor = layer(x)
        return y

    x, pairs = _random(1, 5, D_IN).requires_grad_(), _pairs(1 if runs is None else 2)
    assert torch.autograd.gradcheck(outputs, (x, *(part.requires_grad_() for part in pairs)))


def test_layer_without_an_update_is_the_frozen_one() -> None:
    layer, x = _layer(), _random(3, D_IN)
    expected = nn.functional.linear(x, layer.weight, layer.bias)
    assert torch.equal(layer(x), expected)
    assert list(layer.parameters()) == []


def test_spectrum_is_that_of_the_weight() -> None:
    layer = LoRALinear(nn.Linear(3, 2, bias=False))
    layer.weight.copy_(torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, -2.0]]))
    torch.testing.assert_close(layer.spectrum(2), torch.tensor([3.0, 2.0]))
