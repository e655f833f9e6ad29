from collections.abc import Callable
from typing import Any

import pytest
import torch
from classifiers import FAMILIES as ADAPTED
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from transformers import AutoConfig, AutoModel

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.inject import inject
from lora_sweep.adapters.layer import LoRAXSLinear, set_updates

FAMILIES = [(name, ADAPTED[name]) for name in ("bert", "roberta", "deberta-v2")]


def _encoder(family: str) -> nn.Module:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        vocab_size=30,
    )
    encoder: nn.Module = AutoModel.from_config(config)
    return encoder.eval()


def _layer(linear: nn.Linear, rank: int = 3) -> LoRAXSLinear:
    return LoRAXSLinear(linear, lambda weight: svd_factors(weight, rank))


@pytest.mark.parametrize(("family", "suffixes"), FAMILIES, ids=[name for name, _ in FAMILIES])
def test_inject_takes_the_four_matrices_of_each_layer(
    family: str, suffixes: tuple[str, ...]
) -> None:
    names = list(inject(_encoder(family), _layer, suffixes=suffixes))
    assert len(names) == 8
    first = [name for name in names if "layer.0." in name]
    assert names[:4] == first
    for name, suffix in zip(first, suffixes, strict=True):
        assert name.endswith(suffix)
    assert not first[3].endswith("attention.output.dense")


@pytest.mark.parametrize(("family", "suffixes"), FAMILIES, ids=[name for name, _ in FAMILIES])
def test_injected_encoder_is_frozen_and_unchanged(family: str, suffixes: tuple[str, ...]) -> None:
    encoder, ids = _encoder(family), torch.tensor([[2, 7, 5, 9]])
    before = encoder(input_ids=ids).last_hidden_state
    layers = inject(encoder, _layer, suffixes=suffixes)
    set_updates(layers.values(), [torch.zeros(1, 3, 3)] * 8)
    after = encoder(input_ids=ids).last_hidden_state
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_unknown_suffix_leaves_the_model_as_it_was() -> None:
    encoder = _encoder("deberta-v2")
    with pytest.raises(ValueError, match=r"there are dense, .*query_proj.*but got 'query'"):
        inject(encoder, _layer)
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_too_large_rank_names_the_matrix() -> None:
    encoder = _encoder("bert")
    with pytest.raises(ValueError, match=r"layer.0.attention.self.query: rank must be within"):
        inject(encoder, lambda linear: _layer(linear, 17))
    assert isinstance(encoder.get_submodule("encoder.layer.0.attention.self.query"), nn.Linear)


def test_no_suffix_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model.adapted must name linear layers"):
        inject(_encoder("bert"), _layer, suffixes=())


class _Twice(nn.Module):
    """One linear layer under two names, each of which is called."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.query = self.first

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.query(self.first(x))
        return y


@pytest.mark.parametrize("suffixes", [("first",), ("query",), ("first", "query")], ids=str)
def test_layer_with_two_names_is_swapped_under_both(suffixes: tuple[str, ...]) -> None:
    model, core = _Twice(), torch.randn(3, 3)
    layers = inject(model, _layer, suffixes=suffixes)
    assert list(layers) == [suffixes[0]]
    (layer,) = layers.values()
    set_updates([layer], [core[None]])
    merged = layer.weight + layer.B @ core @ layer.A
    x = torch.randn(5, 4)
    torch.testing.assert_close(model(x), x @ merged.T @ merged.T, rtol=1e-4, atol=1e-4)


def test_layer_that_the_whole_shares_is_swapped_there_too() -> None:
    whole = nn.ModuleDict({"encoder": _Twice()})
    whole["tied"] = whole["encoder"].first
    inject(whole["encoder"], _layer, suffixes=("first",), whole=whole)
    assert isinstance(whole["tied"], LoRAXSLinear)


class _Own(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1


class _Quantised(nn.Linear):
    """As bitsandbytes has it: a linear layer whose weight is a parameter of integers."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)


class _Packed(Tensor):
    """As torchao has it: a tensor of its own kind, which says that it is float32."""


def _packed() -> nn.Module:
    linear = nn.Linear(4, 4)
    linear.weight = nn.Parameter(linear.weight.detach().as_subclass(_Packed))
    return linear


def _hooked(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        linear: Any = nn.Linear(4, 4)
        getattr(linear, name)(lambda *_: None)
        return linear  # type: ignore[no-any-return]

    return make


def _wrapped() -> nn.Module:
    linear: Any = nn.Linear(4, 4)
    linear.forward = lambda x: x  # as accelerate does
    return linear  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_Quantised, "not quantised ones, but got _Quantised with Tensor of torch.int8"),
        (_packed, "not quantised ones, but got Linear with _Packed of torch.float32"),
        (lambda: nn.Linear(4, 4, device="meta"), "whose weights are loaded, but got the meta"),
        (lambda: _Own(4, 4), "another one would be lost, but got _Own"),
        (_wrapped, "another one would be lost, but got Linear"),
        (lambda: parametrizations.weight_norm(nn.Linear(4, 4)), "stored, not computed"),
        (_hooked("register_forward_hook"), "without hooks, which would be lost, but got 1"),
        (_hooked("register_forward_pre_hook"), "without hooks, which would be lost"),
        (_hooked("register_full_backward_hook"), "without hooks, which would be lost"),
        (_hooked("register_full_backward_pre_hook"), "without hooks, which would be lost"),
    ],
)
def test_layer_that_would_lose_something_is_refused(
    make: Callable[[], nn.Module], message: str
) -> None:
    model = nn.ModuleDict({"plain": nn.Linear(4, 4), "odd": make()})
    with pytest.raises(ValueError, match=f"odd must be .*{message}"):
        inject(model, _layer, suffixes=("plain", "odd"))
    assert type(model["plain"]) is nn.Linear


@pytest.mark.parametrize("name", ["self_attn.out_proj", "linear1", "linear2"])
def test_layer_whose_weight_is_read_past_it_is_refused(name: str) -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 1)
    with pytest.raises(ValueError, match=rf"layers\.0\.{name} must be a layer that is called"):
        inject(model, _layer, suffixes=(name,))
