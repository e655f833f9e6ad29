"""What is measured on a base: by hand on one layer, against plain autograd, and as PEFT does."""

from typing import Any

import pytest
import torch
from peft import EvaConfig, LoraConfig
from peft.tuners.lora.eva import get_eva_state_dict
from torch import Tensor, nn
from toy import D, make_encoder, make_tokens
from transformers import AutoModel

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.layer import LoRAXSLinear
from lora_sweep.allocation.apportioning import ranks_by_components
from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.allocation.costs import RankBudget, RankCosts
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.training.calibration import Calibrator, draw_batches
from lora_sweep.training.encoder import AdaptedEncoder

INDICES = [torch.tensor([[0, 4, 2]]), torch.tensor([[7, 1, 5]])]


class OneLayer(nn.Module):
    """Answers with W x for every token's embedding x."""

    def __init__(self, x: Tensor, linear: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("x", x)
        self.linear = LoRAXSLinear(linear, lambda weight: svd_factors(weight, 2))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        hidden = self.linear(self.x[input_ids])  # type: ignore[index]
        return type("Output", (), {"last_hidden_state": hidden})


def one_layer(n_labels: int, labels: Tensor) -> tuple[Calibrator, Tensor, Tensor, Tensor]:
    """A calibrator over four texts of one token in two batches; inputs x, weight W, outputs v."""
    torch.manual_seed(3)
    x, linear, v = torch.randn(4, 5), nn.Linear(5, 3, bias=False), torch.randn(n_labels, 3)
    encoder = OneLayer(x, linear)
    adapted = AdaptedEncoder(
        encoder=encoder,
        layers={"linear": encoder.linear},
        d=3,
        n_heads=1,
        pooling="cls",
        head_dropout=0.5,  # which nothing of the calibration drops
        dropout=None,
        pad_id=0,
        first_position=None,
    )
    texts = TokenisedTexts(torch.arange(4, dtype=torch.int32), None, torch.arange(5), labels)
    head = {
        "head.dense.weight": torch.eye(3)[None],
        "head.dense.bias": torch.zeros(1, 3),
        "head.out.weight": v[None],
        "head.out.bias": torch.zeros(1, n_labels),
    }
    batches = [adapted.batch(texts, torch.tensor([pair])) for pair in ([0, 1], [2, 3])]
    calibrator = Calibrator(adapted, head, batches, rank_max=2)
    return calibrator, x, linear.weight.detach(), v


def by_hand(of_outputs: Tensor, x: Tensor, weight: Tensor, v: Tensor) -> list[Tensor]:
    """Gradients of both batches' losses in W; `of_outputs` (4, n_labels) is each text's own.

    With h = tanh(W x) and outputs V h it is ((1 - h^2) o V^T of_outputs) x^T, averaged.
    """
    h = torch.tanh(x @ weight.T)
    of_hidden = (1 - h**2) * (of_outputs @ v)  # (4, 3)
    each = torch.einsum("ti,tj->tij", of_hidden, x)
    return [each[:2].mean(dim=0), each[2:].mean(dim=0)]


def squared_error() -> tuple[Calibrator, Tensor, list[Tensor]]:
    """Calibrator, W, and gradients by hand: of (y - t)^2 in y it is 2 (y - t)."""
    labels = torch.tensor([0.5, -1.0, 2.0, 0.0])
    calibrator, x, weight, v = one_layer(1, labels)
    y = torch.tanh(x @ weight.T) @ v.T
    return calibrator, weight, by_hand(2 * (y - labels[:, None]), x, weight, v)


def cross_entropy() -> tuple[Calibrator, Tensor, list[Tensor]]:
    """The same: of the cross-entropy in the outputs it is softmax - one-hot."""
    labels = torch.tensor([0, 2, 1, 1])
    calibrator, x, weight, v = one_layer(3, labels)
    shares = torch.softmax(torch.tanh(x @ weight.T) @ v.T, dim=1)
    return calibrator, weight, by_hand(shares - torch.eye(3)[labels], x, weight, v)


@pytest.mark.parametrize("case", [squared_error, cross_entropy])
def test_fisher_of_one_layer_is_the_closed_form(case: Any) -> None:
    calibrator, _, gradients = case()
    expected = sum(float((gradient**2).mean()) for gradient in gradients) / 2
    assert CALIBRATIONS["fisher"].scores(calibrator.inputs).item() == pytest.approx(expected)


@pytest.mark.parametrize("case", [squared_error, cross_entropy])
def test_gora_of_one_layer_is_the_closed_form(case: Any) -> None:
    calibrator, weight, (first, second) = case()
    expected = float((weight * (first + second) / 2).abs().mean())
    assert CALIBRATIONS["gora"].scores(calibrator.inputs).item() == pytest.approx(expected)


def calibrator_of(encoder: AdaptedEncoder) -> Calibrator:
    """Over six texts in two batches, with a head of its own."""
    generator = torch.Generator().manual_seed(1)
    head = {
        "head.dense.weight": torch.randn(1, D, D, generator=generator) / D**0.5,
        "head.dense.bias": torch.zeros(1, D),
        "head.out.weight": torch.randn(1, 2, D, generator=generator),
        "head.out.bias": torch.zeros(1, 2),
    }
    texts = make_tokens(9, 0)
    batches = [encoder.batch(texts, index) for index in INDICES]
    return Calibrator(encoder, head, batches, rank_max=6)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_padding_counts_for_nothing(name: str) -> None:
    ragged, padded = (calibrator_of(make_encoder(ragged=is_ragged)) for is_ragged in (True, False))
    scores, expected = (CALIBRATIONS[name].scores(one.inputs) for one in (ragged, padded))
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_scores_do_not_depend_on_what_was_before(name: str) -> None:
    encoder = make_encoder(dropout=0.3, adapter_dropout=0.2)
    calibrator = calibrator_of(encoder)
    first = CALIBRATIONS[name].scores(calibrator.inputs)
    encoder.encoder.train()
    cores = torch.randn(2, 8, 4, 4).unbind(dim=1)
    batch = encoder.batch(make_tokens(9, 0), torch.tensor([[0, 4], [2, 7]]))
    encoder.draw_dropout(batch, [torch.Generator().manual_seed(seed) for seed in (1, 2)])
    encoder.features(batch, cores, 2)
    assert torch.equal(CALIBRATIONS[name].scores(calibrator.inputs), first)
    assert not any(layer.weight.requires_grad for layer in encoder.layers.values())


def test_batches_are_drawn_by_the_seed_and_hold_no_text_twice() -> None:
    first, again, other = (
        torch.cat(draw_batches(50, seed, n_batches=3, batch_size=8)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(first.unique()) == 24
    assert [len(batch) for batch in draw_batches(10, 0, n_batches=4, batch_size=4)] == [4, 4, 2]


def stock_of(encoder: AdaptedEncoder) -> nn.Module:
    """The same weights in transformers' own model, with plain linear layers."""
    config: Any = encoder.encoder.config
    stock: nn.Module = AutoModel.from_config(config, attn_implementation="eager")
    stock.pooler = None  # type: ignore[assignment]
    stock.load_state_dict(encoder.encoder.state_dict())
    return stock.eval()


@pytest.mark.parametrize("rho", [1.0, 2.0, 4.0])
def test_ranks_by_activations_are_those_of_peft(rho: float) -> None:
    rank, encoder = 4, make_encoder(ragged=False)
    texts = make_tokens(40, 0)
    batch = encoder.batch(texts, torch.arange(40)[None])
    config = LoraConfig(
        r=rank,
        target_modules=list(encoder.layers),
        init_lora_weights="eva",
        eva_config=EvaConfig(rho=rho),
    )
    given = {"input_ids": batch.input_ids, "attention_mask": batch.is_real.long()}
    found = get_eva_state_dict(stock_of(encoder), [given], config, show_progress_bar=False)
    expected = [len(found[name]) for name in encoder.layers]
    n, most = len(expected), round(rank * rho)
    calibrator = Calibrator(encoder, calibrator_of(encoder).head, [batch], rank_max=most)
    scores = CALIBRATIONS["activations"].scores(calibrator.inputs)
    ranks = ranks_by_components(scores, RankBudget(n * rank, 0, most, RankCosts(power=1)))
    assert ranks == expected
    assert rho == 1 or len(set(expected)) > 1


def test_ranks_by_activations_of_several_batches_are_those_of_peft() -> None:
    rank, encoder, texts = 8, make_encoder(ragged=False), make_tokens(60, 0)
    batches = [encoder.batch(texts, index[None]) for index in torch.arange(60).split(20)]
    config = LoraConfig(
        r=rank,
        target_modules=list(encoder.layers),
        init_lora_weights="eva",
        eva_config=EvaConfig(rho=D / rank, tau=0.9),  # it follows all D components then
    )
    given = [{"input_ids": b.input_ids, "attention_mask": b.is_real.long()} for b in batches]
    found = get_eva_state_dict(stock_of(encoder), given, config, show_progress_bar=False)
    expected = [len(found[name]) for name in encoder.layers]
    calibrator = Calibrator(encoder, calibrator_of(encoder).head, batches, rank_max=D)
    scores = CALIBRATIONS["activations"].scores(calibrator.inputs)
    budget = RankBudget(len(expected) * rank, 0, D, RankCosts(power=1))
    assert ranks_by_components(scores, budget) == expected
