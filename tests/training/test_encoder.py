import dataclasses

import pytest
import torch
from torch import Tensor
from toy import RAGGED_FAMILIES, D, make_encoder, make_tokens
from transformers import RobertaConfig
from transformers.models.roberta.modeling_roberta import RobertaClassificationHead

from lora_sweep.training.encoder import head_outputs

INDEX = {1: torch.tensor([[0, 4, 2, 7]]), 2: torch.tensor([[0, 4], [2, 7]])}


def _features(
    family: str, ragged: bool, n_runs: int, pooling: str, multiple: int = 1
) -> tuple[Tensor, Tensor]:
    """Features of four texts, and the gradient of a weighted sum in the cores."""
    made = make_encoder(family, ragged=ragged)
    encoder = dataclasses.replace(made, pooling=pooling, multiple=multiple)
    generator = torch.Generator().manual_seed(5)
    cores = torch.randn(n_runs, 8, 4, 4, generator=generator, requires_grad=True)
    batch = encoder.batch(make_tokens(9, 0), INDEX[n_runs])
    assert not ragged or batch.input_ids.shape[1] % multiple == 0
    features = encoder.features(batch, cores.unbind(dim=1), n_runs)
    weights = torch.randn(features.shape, generator=generator)
    (gradient,) = torch.autograd.grad((features * weights).sum(), cores)
    return features.detach().reshape(4, D), gradient


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("n_runs", [1, 2])
@pytest.mark.parametrize("family", RAGGED_FAMILIES)
@pytest.mark.parametrize("multiple", [1, 13])
def test_ragged_batches_equal_padded_ones(
    family: str, n_runs: int, pooling: str, multiple: int
) -> None:
    features, gradient = _features(family, True, n_runs, pooling, multiple)
    expected, expected_gradient = _features(family, False, n_runs, pooling)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-5)


def test_mean_pooling_is_over_the_real_tokens() -> None:
    encoder = make_encoder(ragged=False)
    texts = make_tokens(9, 0)
    cores = (torch.zeros(1, 2, 2),) * 8
    index = torch.tensor([[3, 5]])
    pooled = encoder.features(encoder.batch(texts, index), cores, 1)[0]
    for row, text in enumerate((3, 5)):
        ids = texts.ids[texts.offsets[text] : texts.offsets[text + 1]].long()[None]
        hidden = encoder.encoder(input_ids=ids).last_hidden_state[0]
        torch.testing.assert_close(pooled[row], hidden.mean(dim=0), rtol=0, atol=1e-5)


def test_heads_are_robertas_run_by_run() -> None:
    heads = []
    for seed in range(2):
        torch.manual_seed(seed)
        config = RobertaConfig(hidden_size=D, num_labels=3, hidden_dropout_prob=0.0)
        heads.append(RobertaClassificationHead(config))
    names = {"head.dense": "dense", "head.out": "out_proj"}
    parameters = {
        f"{ours}.{kind}": torch.stack([head.state_dict()[f"{theirs}.{kind}"] for head in heads])
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
    }
    features = torch.randn(2, 4, D)
    outputs = head_outputs(features, parameters, None)
    expected = torch.stack([heads[k](features[k][:, None]) for k in range(2)])
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-6)
