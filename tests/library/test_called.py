"""However the adapted layers come to be called, they are adapted."""

import warnings
from collections.abc import Callable

import pytest
import torch
from classifiers import FAMILIES, PLAN, make_batch, make_model
from torch import Tensor, nn

from lora_sweep import adapt, find_adapter, parameter_groups
from lora_sweep.library.adapter import LoRAXSAdapter


def _parts() -> list[nn.Module]:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return [nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)]


class _Chain(nn.Module):
    """Runs all its children, whatever they are."""

    def __init__(self) -> None:
        super().__init__()
        for i, part in enumerate(_parts()):
            self.add_module(str(i), part)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part(x)
        return x


def _expected(adapter: LoRAXSAdapter, x: Tensor) -> Tensor:
    """W2 tanh(W1 x + b1) + b2 with W_i = the base's + s B R A, s = 16 / 6, in evaluation."""
    merged = []
    for i, rank in enumerate(adapter.integer_ranks().values()):
        layer, square = adapter.layers[i], adapter.R[i, :rank, :rank]
        update = 16 / 6 * layer.B[:, :rank] @ square @ layer.A[:rank]
        merged.append((layer.weight + update, layer.bias))
    first, second = merged
    return nn.functional.linear(nn.functional.linear(x, *first).tanh(), *second)


@pytest.mark.parametrize("make", [lambda: nn.Sequential(*_parts()), _Chain])
def test_container_that_runs_its_parts_is_adapted(make: type[nn.Module]) -> None:
    model, x = make().eval(), torch.randn(5, 8)
    adapter = adapt(model, PLAN, adapted=("0", "2"))
    nn.init.normal_(adapter.R)
    torch.testing.assert_close(model(x), _expected(adapter, x), rtol=1e-4, atol=1e-4)
    assert find_adapter(model) is adapter


def test_encoder_whose_forward_is_called_is_adapted() -> None:
    model, batch = make_model().eval(), make_batch()
    nn.init.normal_(adapt(model, PLAN).R)
    del batch["labels"]
    by_forward = model.base_model.forward(**batch).last_hidden_state  # as sentence_transformers
    called = model.base_model(**batch).last_hidden_state
    assert torch.equal(by_forward, called)
    assert not torch.allclose(called, make_model().eval().base_model(**batch).last_hidden_state)


class _Repeated(nn.Module):
    """Calls one layer twice, as ALBERT does, and another once."""

    def __init__(self) -> None:
        super().__init__()
        first, _, second = _parts()
        self.query, self.value = first, second

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.value(self.query(self.query(x)))
        return y


def test_layer_that_is_called_twice_trains_on_both_calls() -> None:
    """The gradient of R is that of autograd through merged weights."""
    model, x = _Repeated(), torch.randn(5, 8)
    adapter = adapt(model, PLAN, adapted=("query", "value"))
    nn.init.normal_(adapter.R, std=0.1)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    model(x).square().sum().backward()
    R = adapter.R.detach().clone().requires_grad_()
    cores = 16 / 6 * adapter.masks().detach() * R
    query, value = (
        (layer.weight + layer.B @ core @ layer.A, layer.bias)
        for layer, core in zip(adapter.layers, cores, strict=True)
    )
    linear = nn.functional.linear
    linear(linear(linear(x, *query), *query), *value).square().sum().backward()
    assert adapter.R.grad is not None and R.grad is not None
    torch.testing.assert_close(adapter.R.grad, R.grad, rtol=1e-4, atol=1e-4)


def test_pass_that_was_cut_short_leaves_nothing_behind() -> None:
    model, batch = make_model().eval(), make_batch()
    adapter = adapt(model, PLAN)
    with torch.no_grad():
        model.base_model.encoder.layer[0].attention.self.query(torch.randn(2, 3, 16))
        adapter.R.data.normal_()  # which no version counter sees
        first, second = (model(**batch).logits for _ in range(2))
    assert torch.equal(first, second)


CHANGES: dict[str, Callable[[LoRAXSAdapter], object]] = {
    "R": lambda adapter: nn.init.normal_(adapter.R),
    "logits": lambda adapter: nn.init.normal_(adapter.logits, std=3.0),
    "step": lambda adapter: setattr(adapter, "step", 3),
    "mode": lambda adapter: adapter.eval(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_layer_called_later_has_the_core_of_now(
    change: Callable[[LoRAXSAdapter], object],
) -> None:
    model, x = nn.Sequential(*_parts()), torch.randn(5, 8)
    adapter = adapt(model, PLAN, adapted=("0", "2"))
    adapter.schedule(steps_per_epoch=2, n_epochs=4)
    nn.init.normal_(adapter.R)
    model[0](x)  # the second layer's core waits
    change(adapter)
    layer, core = adapter.layers[1], (16 / 6 * adapter.masks() * adapter.R)[1]
    expected = nn.functional.linear(x, layer.weight + layer.B @ core @ layer.A, layer.bias)
    torch.testing.assert_close(model[2](x), expected, rtol=1e-4, atol=1e-4)


def test_one_end_may_be_a_string() -> None:
    adapter = adapt(make_model(), PLAN, adapted="query")
    assert [name.rpartition(".")[2] for name in adapter.names] == ["query"] * 2


def test_no_end_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model.adapted must name linear layers"):
        adapt(make_model(), PLAN, adapted=())


def _train(model: nn.Module, n_steps: int, *, advances: bool) -> None:
    groups = parameter_groups(model, lr=0.1, lr_logits=0.1, lr_head=0.1)
    optimiser = torch.optim.SGD(groups)
    for _ in range(n_steps):
        for _ in range(2):  # gradients of two batches add up
            model(**make_batch()).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        if advances:
            find_adapter(model).advance()


def test_forgotten_advance_is_warned_of_once() -> None:
    model = make_model().train()
    adapt(model, PLAN).schedule(steps_per_epoch=9, n_epochs=2)
    with pytest.warns(UserWarning, match=r"3 times in step 0: call adapter.advance\(\)") as seen:
        _train(model, 8, advances=False)
    assert len(seen) == 1


def test_counted_steps_are_not_warned_of() -> None:
    model = make_model().train()
    adapt(model, PLAN).schedule(steps_per_epoch=9, n_epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _train(model, 8, advances=True)


def test_matrix_that_never_runs_is_named_once() -> None:
    model = make_model().train()
    adapt(model, PLAN, adapted=(*FAMILIES["bert"], "pooler.dense"))
    find_adapter(model).schedule(steps_per_epoch=9, n_epochs=2)
    model.base_model.pooler.forward = lambda hidden: hidden[:, 0]
    message = r"1 adapted matrices got no gradient .* the first being pooler.dense"
    with pytest.warns(UserWarning, match=message) as seen:
        _train(model, 3, advances=True)
    assert len(seen) == 1
