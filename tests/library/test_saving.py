import dataclasses
from pathlib import Path

import pytest
import torch
from classifiers import PLAN, make_batch, make_model
from torch import nn

from lora_sweep import AdapterPlan, adapt, load_adapter, save_adapter
from lora_sweep.errors import DamagedFileError
from lora_sweep.tensor_files import write_tensors


def _saved(path: Path, plan: AdapterPlan = PLAN) -> nn.Module:
    model: nn.Module = make_model().eval()
    adapter = adapt(model, plan)
    adapter.schedule(steps_per_epoch=4, n_epochs=3)
    adapter.step = 5
    for parameter in (*adapter.parameters(), model.get_parameter("classifier.weight")):
        nn.init.normal_(parameter)
    save_adapter(model, path)
    return model


VALUES = dataclasses.replace(PLAN, init="values", init_values=tuple(map(float, range(8))))


DRAWN = dataclasses.replace(PLAN, factors="randomised", factors_seed=1)


@pytest.mark.parametrize("plan", [PLAN, VALUES, DRAWN], ids=["randn", "values", "randomised"])
def test_saved_adapter_comes_back(plan: AdapterPlan, tmp_path: Path) -> None:
    path, fresh = tmp_path / "adapter.safetensors", make_model().eval()
    model = _saved(path, plan)
    adapter = load_adapter(fresh, path)
    batch = make_batch()
    torch.testing.assert_close(fresh(**batch).logits, model(**batch).logits, rtol=0, atol=0)
    assert (adapter.plan, adapter.step, adapter.length) == (plan, 5, (4, 3))
    assert adapter.training is False


def test_file_holds_the_trained_part_alone(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    _saved(path)
    trained = 8 * 6 * 6 + 8 + 2 * 16 + 2 + 8 * 6  # R, logits, head, spectra
    assert 4 * trained < path.stat().st_size < 4 * trained + 2500


def test_trained_pooler_is_part_of_the_file(tmp_path: Path) -> None:
    model, fresh = make_model().eval(), make_model().eval()
    adapt(model, PLAN)
    model.bert.pooler.requires_grad_(True)
    nn.init.normal_(model.bert.pooler.dense.weight)
    save_adapter(model, tmp_path / "a.safetensors")
    load_adapter(fresh, tmp_path / "a.safetensors")
    batch = make_batch()
    torch.testing.assert_close(fresh(**batch).logits, model(**batch).logits, rtol=0, atol=0)
    assert fresh.bert.pooler.dense.weight.requires_grad


def test_other_base_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "adapter.safetensors", make_model().eval()
    _saved(path)
    nn.init.normal_(other.base_model.encoder.layer[1].attention.self.value.weight)
    with pytest.raises(
        ValueError, match=r"others in 1 of 8 matrices.*layer.1.attention.self.value"
    ):
        load_adapter(other, path)


def test_other_head_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "adapter.safetensors", make_model().eval()
    _saved(path)
    other.classifier = nn.Linear(16, 3)
    message = r"model's classifier.bias must be of the shape \(2,\), but got \(3,\)"
    with pytest.raises(ValueError, match=message):
        load_adapter(other, path)


def test_other_family_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    _saved(path)
    with pytest.raises(ValueError, match=r"model's classifier\.bias must be of the shape"):
        load_adapter(make_model("roberta"), path)


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    write_tensors(path, {"R": torch.zeros(2)}, {})
    with pytest.raises(ValueError, match="must be a file of lora_xs_adapter 1, but got None"):
        load_adapter(make_model(), path)


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    _saved(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedFileError, match="can't be read"):
        load_adapter(make_model(), path)


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_may_be_strings_and_folders(kind: type[str] | type[Path], tmp_path: Path) -> None:
    model, cache = make_model(), tmp_path / "cache"
    adapter = adapt(model, PLAN, cache_dir=kind(cache))
    save_adapter(model, kind(tmp_path / "a.safetensors"))
    save_adapter(model, kind(tmp_path))
    assert (tmp_path / "lora_xs_adapter.safetensors").is_file()
    for path in (tmp_path / "a.safetensors", tmp_path):
        loaded = load_adapter(make_model(), kind(path), cache_dir=kind(cache))
        assert torch.equal(loaded.R, adapter.R)
    assert len(list((cache / "factors").glob("*.safetensors"))) == 8
