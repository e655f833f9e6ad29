import pytest
import torch
from torch import Tensor, nn

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.factors.factoriser import Factoriser
from lora_sweep.adapters.layer import LoRAXSLinear, cores_by_matrix, set_updates
from lora_sweep.padding import Padding

D_OUT, D_IN, STORED = 5, 4, 3


def _layer() -> LoRAXSLinear:
    torch.manual_seed(0)
    linear = nn.Linear(D_IN, D_OUT).double()
    return LoRAXSLinear(linear, Factoriser(STORED, None))


def _expected(layer: LoRAXSLinear, x: Tensor, core: Tensor) -> Tensor:
    """W x + b + B core A x, token by token."""
    r = core.shape[0]
    assert layer.bias is not None
    update = layer.B[:, :r] @ core @ layer.A[:r]
    return torch.stack([(layer.weight + update) @ token + layer.bias for token in x])


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("r", [2, 3], ids=["leading-block", "stored"])
def test_layer_adds_b_core_a_x(r: int) -> None:
    layer, x, core = _layer(), _random(6, D_IN), _random(1, r, r)
    set_updates([layer], [core])
    torch.testing.assert_close(layer(x), _expected(layer, x, core[0]), rtol=0, atol=1e-12)


def test_layer_gives_each_run_its_core() -> None:
    layer, x, cores = _layer(), _random(6, D_IN), _random(3, 2, 2)
    set_updates([layer], [cores])
    expected = torch.cat([_expected(layer, x[2 * k : 2 * k + 2], cores[k]) for k in range(3)])
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


# run 0 has tokens 0-3, run 1 token 4: places 0-3 and 4 of (2, 4), token 4 again at padding
UNEQUAL = Padding(torch.tensor([0, 1, 2, 3, 4, 4, 4, 4]), torch.arange(5))


def test_layer_follows_runs_of_unequal_length() -> None:
    layer, x, cores = _layer(), _random(1, 5, D_IN), _random(2, 3, 3)
    set_updates([layer], [cores], UNEQUAL)
    parts = [_expected(layer, x[0, :4], cores[0]), _expected(layer, x[0, 4:], cores[1])]
    torch.testing.assert_close(layer(x)[0], torch.cat(parts), rtol=0, atol=1e-12)


def test_zero_core_leaves_the_output_unchanged() -> None:
    layer, x = _layer(), _random(2, 3, D_IN)
    frozen = layer(x)
    set_updates([layer], [torch.zeros(2, 3, 3, dtype=torch.float64)])
    assert torch.equal(layer(x), frozen)


def test_cores_are_scaled_masked_latent_matrices() -> None:
    R, masks = _random(2, 3, 2, 2), torch.ones(2, 3, 2, 2).tril()
    cores = cores_by_matrix(R, masks, torch.tensor([2.0, 0.5]), dtype=torch.float64)
    assert len(cores) == 3
    assert cores[1][0].tolist() == (2 * R[0, 1].tril()).tolist()
    assert cores[2][1].tolist() == (0.5 * R[1, 2].tril()).tolist()


def test_gradient_reaches_only_r() -> None:
    layer, R = _layer(), _random(1, 1, 3, 3).requires_grad_()
    cores = cores_by_matrix(R, torch.ones(1, 1, 3, 3), torch.ones(1), dtype=torch.float64)
    set_updates([layer], cores)
    layer(_random(4, D_IN)).sum().backward()
    assert list(layer.parameters()) == []
    assert R.grad is not None and R.grad.abs().sum() > 0


@pytest.mark.parametrize("drops", [False, True], ids=["whole", "dropped"])
@pytest.mark.parametrize("runs", [None, UNEQUAL], ids=["one-run", "unequal-runs"])
def test_gradients_are_the_numerical_ones(runs: Padding | None, drops: bool) -> None:
    layer, n_runs = _layer(), 1 if runs is None else 2
    layer.kept = (_random(5, D_IN) > 0).double() * 2 if drops else None

    def outputs(x: Tensor, cores: Tensor) -> Tensor:
        set_updates([layer], [cores], runs)
        y: Tensor = layer(x)
        return y

    x, cores = _random(1, 5, D_IN).requires_grad_(), _random(n_runs, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(outputs, (x, cores))


def test_factors_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"A and B must be \(r, 4\) and \(5, r\), but got"):
        LoRAXSLinear(nn.Linear(D_IN, D_OUT), lambda _: (torch.zeros(3, 5), torch.zeros(5, 3)))


def test_number_of_cores_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        set_updates([_layer()], [])


class _Counting:
    """Factorises and counts."""

    n_calls = 0

    def __call__(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        self.n_calls += 1
        return svd_factors(weight, STORED)


def _assert_factors_of(layer: LoRAXSLinear, weight: Tensor) -> None:
    A, B = svd_factors(weight, STORED)
    torch.testing.assert_close(layer.A, A.to(weight.dtype), rtol=0, atol=0)
    torch.testing.assert_close(layer.B, B.to(weight.dtype), rtol=0, atol=0)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loaded_weight_is_factorised_anew(assign: bool, dtype: torch.dtype) -> None:
    layer = LoRAXSLinear(nn.Linear(D_IN, D_OUT), _Counting())
    other = {"weight": _random(D_OUT, D_IN).to(dtype), "bias": _random(D_OUT).to(dtype)}
    layer.load_state_dict(other, assign=assign)
    _assert_factors_of(layer, other["weight"] if assign else other["weight"].float())


def test_own_weight_is_not_factorised_again() -> None:
    factorise = _Counting()
    layer = LoRAXSLinear(nn.Linear(D_IN, D_OUT), factorise)
    layer.load_state_dict({name: values.clone() for name, values in layer.state_dict().items()})
    layer.load_state_dict({"bias": torch.ones(D_OUT)}, strict=False)
    assert factorise.n_calls == 1


def test_loaded_weight_that_is_not_finite_is_refused() -> None:
    layer = LoRAXSLinear(nn.Linear(D_IN, D_OUT), _Counting())
    broken = {name: values * torch.nan for name, values in layer.state_dict().items()}
    with pytest.raises(RuntimeError, match="weight: weight must be finite, but got NaN"):
        layer.load_state_dict(broken)


def test_loaded_weight_of_another_shape_is_refused() -> None:
    layer = _layer()
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        layer.load_state_dict({"weight": _random(2, 2), "bias": _random(D_OUT)})


@pytest.mark.parametrize("runs", [None, UNEQUAL], ids=["one-run", "unequal-runs"])
def test_dropout_is_at_the_adapters_input_alone(runs: Padding | None) -> None:
    layer, x, cores = _layer(), _random(1, 5, D_IN), _random(1 if runs is None else 2, 3, 3)
    layer.kept = torch.tensor([0.0, 2.0]).repeat(5, 2).double()  # the even inputs are dropped
    set_updates([layer], [cores], runs)
    of_token = [0] * 5 if runs is None else [0, 0, 0, 0, 1]
    for token, y, run in zip(x[0], layer(x)[0], of_token, strict=True):
        dropped = torch.tensor([0.0, 2 * token[1], 0.0, 2 * token[3]], dtype=torch.float64)
        expected = nn.functional.linear(token, layer.weight, layer.bias)
        expected = expected + layer.B @ cores[run] @ layer.A @ dropped
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)


def test_layer_of_its_own_drops_in_training_alone() -> None:
    layer, x, core = _layer(), _random(1000, D_IN), _random(1, 3, 3)
    layer.dropout = 0.25
    set_updates([layer], [core])
    still = layer.eval()(x)
    torch.testing.assert_close(still, _expected(layer, x, core[0]), rtol=0, atol=1e-12)
    drawn = layer.train()(x)
    assert (drawn != still).any(dim=1).float().mean() > 1 - 0.75**D_IN - 0.1  # all four are kept
    mean_shift = (drawn - still).mean(dim=0)  # dropping keeps the mean
    assert mean_shift.abs().max() < 0.2
