"""The table of families: what its rows say, and that transformers agrees."""

import pytest
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from lora_sweep.models.families import FAMILIES, family_of

SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 30,
}


@pytest.mark.parametrize(
    ("family", "pad_id", "expected"), [("bert", 0, 0), ("roberta", 1, 2), ("deberta-v2", 0, None)]
)
def test_first_position_by_family(family: str, pad_id: int, expected: int | None) -> None:
    assert family_of(family).first_position(pad_id) == expected


def test_nothing_is_known_of_a_family_without_a_row() -> None:
    unknown = family_of("of_tomorrow")
    assert unknown.first_position(1) is None and unknown.head is None
    assert unknown.n_unused_positions(1) == 0


@pytest.mark.parametrize("model_type", FAMILIES)
def test_names_of_a_row_are_those_of_transformers(model_type: str) -> None:
    config = AutoConfig.for_model(model_type, **SHAPE)
    model: nn.Module = AutoModelForSequenceClassification.from_config(config)
    family = FAMILIES[model_type]
    dropouts = [name for name, m in model.named_modules() if isinstance(m, nn.Dropout)]
    if family.attention_dropout is not None:
        assert sum(name.endswith(family.attention_dropout) for name in dropouts) == 1
    if family.head is not None:
        assert isinstance(model.get_submodule(family.head.encoder), nn.Module)
        for name in (family.head.dense, family.head.out):
            assert isinstance(model.get_submodule(name), nn.Linear)
            assert any(f".{part}." in f".{name}." for part in family.head.trained)
