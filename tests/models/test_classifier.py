"""Stock classifiers: their head computes what a run's does, and no weight is drawn in silence."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lora_sweep.errors import BaseModelError
from lora_sweep.models.classifier import load_classifier, set_head, stock_head
from lora_sweep.models.families import FAMILIES

from ..conftest import HIDDEN, make_base

HEADED = [name for name, family in FAMILIES.items() if family.head is not None]
LABELS = ["no", "yes", "perhaps"]


def head() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "head.dense.weight": (HIDDEN, HIDDEN),
        "head.dense.bias": (HIDDEN,),
        "head.out.weight": (len(LABELS), HIDDEN),
        "head.out.bias": (len(LABELS),),
    }
    return {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}


def without(folder: Path, part: str) -> str:
    """Takes the weights with a part in their names out of a folder's file; the name of one."""
    weights = load_file(folder / "model.safetensors")
    lost = [name for name in weights if part in name.split(".")]
    kept = {name: weight for name, weight in weights.items() if name not in lost}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return lost[0]


@pytest.mark.parametrize("family", HEADED)
@torch.no_grad()
def test_stock_head_is_the_runs_head(family: str, tmp_path: Path) -> None:
    base, own = make_base(tmp_path, family), head()
    place = stock_head(base, "cls")
    model = load_classifier(base, LABELS, place=place)
    set_head(model, place, own)
    ids = torch.tensor([[2, 4, 5, 3], [2, 6, 7, 3]])
    hidden = model.get_submodule(place.encoder)(input_ids=ids).last_hidden_state[:, 0]
    dense = torch.tanh(hidden @ own["head.dense.weight"].T + own["head.dense.bias"])
    expected = dense @ own["head.out.weight"].T + own["head.out.bias"]
    torch.testing.assert_close(model(input_ids=ids).logits, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in HEADED])
def test_family_with_another_head_says_what_to_do(family: str, tmp_path: Path) -> None:
    base = make_base(tmp_path, family)
    with pytest.raises(BaseModelError, match=rf"\(bert, .*mpnet\), but got {family}: export it"):
        stock_head(base, "cls")


@pytest.mark.parametrize("family", HEADED)
def test_base_may_lack_a_head_alone(family: str, tmp_path: Path) -> None:
    base = make_base(tmp_path, family)
    place = stock_head(base, "cls")
    load_classifier(base, LABELS, place=place)
    lost = without(base, FAMILIES[family].adapted[0].split(".")[-1])
    with pytest.raises(BaseModelError, match=rf"that the model needs, but .* missing \(.*{lost}"):
        load_classifier(base, LABELS, place=place)


@pytest.mark.parametrize("family", HEADED)
def test_whole_classifier_lacks_nothing(family: str, tmp_path: Path) -> None:
    base, whole = make_base(tmp_path / "base", family), tmp_path / "whole"
    place = stock_head(base, "cls")
    load_classifier(base, LABELS, place=place).save_pretrained(whole)
    load_classifier(whole, LABELS)
    without(whole, "classifier")
    with pytest.raises(BaseModelError, match=r"are missing \(classifier\."):
        load_classifier(whole, LABELS)
