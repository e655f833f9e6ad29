"""The table of families: what its rows say, and that transformers agrees."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from lora_sweep.config.run import RunConfig
from lora_sweep.data.batches import padded_batch
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.errors import BaseModelError, SettingError
from lora_sweep.execution.execute import check_inputs, run_cell
from lora_sweep.models.base import base_shape, load_encoder
from lora_sweep.models.families import FAMILIES, family_of
from lora_sweep.store.finished import read_finished

from ..conftest import LAYERS, make_base

REFUSED = ["albert", "t5", "gpt2", "qwen2", "xlnet", "bart", "longformer", "deberta", "ernie"]

SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 30,
    "pad_token_id": 1,
}


@pytest.mark.parametrize(
    ("family", "pad_id", "expected"), [("bert", 0, 0), ("roberta", 1, 2), ("deberta-v2", 0, None)]
)
def test_first_position_by_family(family: str, pad_id: int, expected: int | None) -> None:
    assert family_of(family).first_position(pad_id) == expected


@pytest.mark.parametrize("model_type", REFUSED)
def test_family_without_a_row_is_refused(model_type: str, tmp_path: Path) -> None:
    AutoConfig.for_model(model_type).save_pretrained(tmp_path)
    for told in (lambda: family_of(model_type), lambda: base_shape(tmp_path)):
        with pytest.raises(
            BaseModelError, match=rf"must be one of bert, .*modernbert, .* but got {model_type}$"
        ):
            told()


@pytest.mark.parametrize("model_type", FAMILIES)
def test_config_is_read_as_transformers_reads_it(model_type: str, tmp_path: Path) -> None:
    config = AutoConfig.for_model(model_type)
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    saved.pop("pad_token_id")
    (tmp_path / "config.json").write_text(json.dumps(saved))
    shape, family = base_shape(tmp_path), FAMILIES[model_type]
    assert (shape.d, shape.n_heads) == (config.hidden_size, config.num_attention_heads)
    assert shape.pad_id == config.pad_token_id
    behind = config.pad_token_id + 1 if family.starts_behind_padding else 0
    assert shape.n_positions == config.max_position_embeddings - behind


@pytest.mark.parametrize("model_type", FAMILIES)
def test_first_token_has_the_position_that_transformers_gives(model_type: str) -> None:
    """The embeddings of a text are those at the positions said, and at no others."""
    config = AutoConfig.for_model(model_type, **SHAPE)
    encoder: Any = AutoModel.from_config(config).eval()
    table = getattr(encoder.embeddings, "position_embeddings", None)
    if table is None:  # relative or rotary
        assert not FAMILIES[model_type].starts_behind_padding
        return
    first = FAMILIES[model_type].n_unused_positions(1)
    seen: list[Tensor] = []
    table.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(input_ids=torch.tensor([[5, 6, 7]]))
    assert seen[0].flatten().tolist() == [first, first + 1, first + 2]


@pytest.mark.parametrize("model_type", FAMILIES)
def test_dropout_is_set_everywhere(model_type: str, tmp_path: Path) -> None:
    base = make_base(tmp_path, model_type)
    encoder = load_encoder(base, dropout=0.3, attention=None, device=torch.device("cpu"))
    rates = {m.p for m in encoder.modules() if isinstance(m, nn.Dropout)}
    assert rates == {0.3}


def test_dropout_of_the_head_is_the_stock_heads_own() -> None:
    for model_type, own in (("bert", "classifier_dropout"), ("distilbert", "seq_classif_dropout")):
        config = AutoConfig.for_model(model_type, **{own: 0.25})
        assert FAMILIES[model_type].dropout_of_head(config) == 0.25
    config = AutoConfig.for_model("electra", hidden_dropout_prob=0.4)
    assert FAMILIES["electra"].dropout_of_head(config) == 0.4


@pytest.mark.parametrize("model_type", FAMILIES)
def test_family_trains_with_the_matrices_of_its_row(
    model_type: str, tiny_run: list[str], composed: Callable[..., RunConfig], tmp_path: Path
) -> None:
    base = make_base(tmp_path / "base", model_type)
    matrices = FAMILIES[model_type].adapted
    config = composed(
        *tiny_run, f"model.path={base}", f"model.adapted=[{','.join(matrices)}]", "init=fixed"
    )
    check_inputs(config)
    run_cell(config)
    record = read_finished(next(Path(config.paths.outputs, "tiny").glob("*/result.json")).parent)
    assert len(record.record.matrices) == LAYERS * len(matrices)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_padding_changes_nothing(model_type: str, tmp_path: Path) -> None:
    """What a batch's texts get is what each gets alone; the batch is as runs make it."""
    base = make_base(tmp_path, model_type)
    encoder = load_encoder(base, dropout=0.0, attention=None, device=torch.device("cpu"))
    ids = torch.tensor([2, 4, 5, 3, 2, 6, 7, 8, 9, 10, 3], dtype=torch.int32)
    texts = TokenisedTexts(ids, None, torch.tensor([0, 4, 11]), torch.tensor([0, 1]))
    batch = padded_batch(texts, torch.tensor([[0, 1]]), pad_id=base_shape(base).pad_id)
    mask = batch.is_real.long()
    together = encoder(input_ids=batch.input_ids, attention_mask=mask).last_hidden_state
    for row, length in ((0, 4), (1, 7)):
        own = batch.input_ids[row : row + 1, :length]
        alone = encoder(input_ids=own).last_hidden_state
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-5)
    assert batch.input_ids.shape[1] > 4  # the first text is padded


def test_guide_has_the_table() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    lines = guide.partition("### Other bases")[2].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "ed | " in line]
    told = {name: row[1:] for row in rows for name in re.findall("`(.*?)`", row[0])}
    assert told == {
        name: [
            " ".join(f"`{end}`" for end in family.adapted),
            "padded" if family.attention_dropout is None else "ragged",
            "no" if family.head is None else "yes",
        ]
        for name, family in FAMILIES.items()
    }


@pytest.mark.parametrize("model_type", ["deberta-v2", "distilbert", "mpnet", "modernbert"])
def test_matrices_of_another_family_are_told_at_the_start(
    model_type: str, tiny_run: list[str], composed: Callable[..., RunConfig], tmp_path: Path
) -> None:
    base = make_base(tmp_path / "base", model_type)
    with pytest.raises(SettingError, match=r"^model\.adapted must name .* got 'query'") as told:
        check_inputs(composed(*tiny_run, f"model.path={base}"))
    own = ",".join(FAMILIES[model_type].adapted)
    assert str(told.value).endswith(f": {model_type} wants model.adapted=[{own}]")


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
