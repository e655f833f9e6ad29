import pytest
import torch
from classifiers import FAMILIES as ADAPTED
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from lora_sweep.adapters.factors import svd_factors
from lora_sweep.adapters.inject import inject
from lora_sweep.adapters.layer import set_cores

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


def _factorise(weight: Tensor) -> tuple[Tensor, Tensor]:
    return svd_factors(weight, 3)


@pytest.mark.parametrize(("family", "suffixes"), FAMILIES, ids=[name for name, _ in FAMILIES])
def test_inject_takes_the_four_matrices_of_each_layer(
    family: str, suffixes: tuple[str, ...]
) -> None:
    names = list(inject(_encoder(family), _factorise, suffixes=suffixes))
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
    layers = inject(encoder, _factorise, suffixes=suffixes)
    set_cores(layers.values(), [torch.zeros(1, 3, 3)] * 8)
    after = encoder(input_ids=ids).last_hidden_state
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_unknown_suffix_leaves_the_model_as_it_was() -> None:
    encoder = _encoder("deberta-v2")
    with pytest.raises(ValueError, match=r"there are dense, .*query_proj.*but got 'query'"):
        inject(encoder, _factorise)
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_too_large_rank_names_the_matrix() -> None:
    encoder = _encoder("bert")
    with pytest.raises(ValueError, match=r"layer.0.attention.self.query: rank must be within"):
        inject(encoder, lambda weight: svd_factors(weight, 17))
    assert isinstance(encoder.get_submodule("encoder.layer.0.attention.self.query"), nn.Linear)
