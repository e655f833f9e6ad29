"""The kinds of adapters: what they train, what it costs, how it starts, and their own rules."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.kind import AdapterKind, adapter_kinds, make_kind
from lora_sweep.adapters.kinds.lora import LoRA
from lora_sweep.adapters.kinds.lora_xs import LORA_XS_KIND, shell_means
from lora_sweep.adapters.kinds.tiny_lora import TinyLoRA, balanced
from lora_sweep.adapters.layer import LoRAXSLinear

SHAPES = {"one": (5, 4), "two": (3, 7)}  # (d_out, d_in)
LORA = LoRA(rslora=False)
TINY = TinyLoRA(u=3, projection_seed=42)
WITH_MATRICES = [LORA_XS_KIND, LORA, TINY]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("kind", "n_params"),
    [
        (LORA_XS_KIND, 2 * 2**2),
        (LORA, 2 * (4 + 5) + 2 * (7 + 3)),
        (TINY, 2 * 3),
        (make_kind("head_only", {}), 0),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_parameters_by_hand(kind: AdapterKind, n_params: int) -> None:
    assert kind.n_params(2, SHAPES) == n_params


@pytest.mark.parametrize("kind", WITH_MATRICES, ids=lambda kind: kind.name)
def test_start_has_the_shapes_that_are_counted(kind: AdapterKind) -> None:
    start = kind.start(3, SHAPES, generator())
    shapes = {name: tuple(values.shape) for name, values in start.items()}
    assert shapes == kind.parameter_shapes(3, SHAPES)


@pytest.mark.parametrize("kind", [LORA_XS_KIND, LORA], ids=lambda kind: kind.name)
@given(n_params=st.integers(1, 3000))
def test_largest_rank_is_the_last_that_fits(kind: AdapterKind, n_params: int) -> None:
    rank = kind.largest(n_params, 99, SHAPES)["rank"]
    assert kind.n_params(rank, SHAPES) <= n_params or rank == 1
    assert kind.n_params(rank + 1, SHAPES) > n_params


@given(n_params=st.integers(1, 3000))
def test_largest_tiny_lora_is_the_last_that_fits(n_params: int) -> None:
    u = TINY.largest(n_params, 99, SHAPES)["u"]
    assert 2 * u <= n_params < 2 * (u + 1) or u == 1


def test_lora_starts_as_a_linear_layer_of_torch_does() -> None:
    start = LORA.start(3, SHAPES, generator(7))
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        expected = {name: nn.Linear(d_in, 3, bias=False) for name, (_, d_in) in SHAPES.items()}
    for name, linear in expected.items():
        assert torch.equal(start[f"A/{name}"], linear.weight)
        assert not start[f"B/{name}"].any()


def test_scales_by_hand() -> None:
    assert LORA_XS_KIND.scale(16, 4) == LORA.scale(16, 4) == 4
    assert LoRA(rslora=True).scale(16, 4) == 8
    assert TINY.scale(16, 4) == 1


def test_projections_are_those_of_peft() -> None:
    tinylora = pytest.importorskip("peft.tuners.tinylora.layer")
    P = TINY.projections(2, 4)
    for place in range(2):
        theirs = tinylora.TinyLoraLayer(nn.Linear(6, 5), layer_idx=place)
        theirs.r["default"] = 4
        theirs._init_projection("default", 3, 42)
        assert torch.equal(P[place], theirs.tinylora_P["default"])


def test_tiny_lora_adds_a_mixture_between_balanced_factors() -> None:
    """Against a slow sum over v_i P_i, and U S^1/2 and S^1/2 V by torch's own SVD."""
    torch.manual_seed(0)
    linear, x = nn.Linear(6, 5), torch.randn(4, 6)
    layer = TINY.layer(linear, lambda weight: svd_factors(weight, 2))
    v = torch.randn(1, 1, 3)
    one = torch.ones(1, 1, 2, 2)
    (layer.update,) = TINY.updater({"one": layer}, 2)({"v": v}, one, torch.ones(1))
    P = TINY.projections(1, 2)[0]
    R = sum(v[0, 0, i] * P[i] for i in range(3))
    assert isinstance(layer, LoRAXSLinear)
    expected = linear(x) + x @ layer.A.T @ R.T @ layer.B.T  # type: ignore[union-attr]
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
    S = torch.linalg.svdvals(linear.weight)[:2]
    torch.testing.assert_close(layer.A @ layer.A.T, torch.diag(S), rtol=0, atol=1e-5)
    torch.testing.assert_close(layer.B.T @ layer.B, torch.diag(S), rtol=0, atol=1e-5)


def test_balanced_factors_have_the_same_product() -> None:
    A, B = torch.randn(3, 5, generator=generator()), torch.randn(4, 3, generator=generator(1))
    A[1] = 0  # no length to share
    own_a, own_b = balanced(A, B)
    torch.testing.assert_close(own_b @ own_a, B @ A)
    torch.testing.assert_close(own_a[::2].norm(dim=1), own_b[:, ::2].norm(dim=0))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("dora", {}, "kind must be one of .*lora_xs.*, but got 'dora'"),
        ("lora", {}, "rslora must be given with kind=lora, but got None"),
        ("lora", {"rslora": False, "u": 3}, "u must be null with kind=lora, .* but got 3"),
        ("tiny_lora", {"u": 0, "projection_seed": 0}, "u must be .* but got 0"),
        ("tiny_lora", {"u": 1, "projection_seed": -1}, "projection_seed must be .* but got -1"),
    ],
)
def test_wrong_settings_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_kind(name, settings)


def test_every_kind_says_what_it_is() -> None:
    assert set(adapter_kinds()) >= {"lora_xs", "lora", "tiny_lora", "head_only"}
    assert all(kind.label and "loraxs" in kind.exports for kind in adapter_kinds().values())


def test_shell_means_are_over_the_larger_index() -> None:
    entries = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = [
        [
            [
                sum(float(one[a, b]) for a in range(4) for b in range(4) if max(a, b) == m)
                / (2 * m + 1)
                for m in range(4)
            ]
            for one in run
        ]
        for run in entries
    ]
    torch.testing.assert_close(shell_means(entries), torch.tensor(expected))
