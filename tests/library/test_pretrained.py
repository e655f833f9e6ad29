"""What transformers saves of an adapted model can be loaded again, adapter and all."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from classifiers import PLAN, make_batch, make_model
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, Trainer, TrainingArguments

from lora_sweep import adapt, find_adapter, load_adapter

FILE = "lora_xs_adapter.safetensors"


def _trained() -> Any:
    model = make_model().eval()
    adapter = adapt(model, PLAN)
    adapter.schedule(steps_per_epoch=4, n_epochs=3)
    adapter.step = 5
    generator = torch.Generator().manual_seed(0)
    for parameter in (*adapter.parameters(), *model.classifier.parameters()):
        nn.init.normal_(parameter, generator=generator)
    return model


def _assert_comes_back(folder: Path, model: Any) -> None:
    fresh: Any = AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()
    adapter, batch = load_adapter(fresh, folder), make_batch()
    torch.testing.assert_close(fresh(**batch).logits, model(**batch).logits, rtol=0, atol=1e-6)
    assert (adapter.step, adapter.length) == (5, (4, 3))


@pytest.mark.parametrize(
    "duplicate",
    [lambda model: model, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["model", "copy", "pickled"],
)
def test_saved_model_comes_back_with_its_adapter(
    duplicate: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = duplicate(_trained())
    model.save_pretrained(str(tmp_path))
    assert f"lora_sweep.load_adapter(model, {str(tmp_path)!r})" in caplog.text
    _assert_comes_back(tmp_path, model)


def test_copy_saves_its_own_numbers(tmp_path: Path) -> None:
    model = _trained()
    twin = copy.deepcopy(model)
    nn.init.zeros_(find_adapter(model).R)
    twin.save_pretrained(tmp_path)
    _assert_comes_back(tmp_path, twin)


def test_encoder_that_is_saved_alone_comes_back(tmp_path: Path) -> None:
    model, batch = _trained(), make_batch()
    del batch["labels"]
    model.base_model.save_pretrained(tmp_path)
    fresh = AutoModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    load_adapter(fresh, tmp_path)
    ours, theirs = (each(**batch).last_hidden_state for each in (fresh, model.base_model))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_process_that_does_not_write_writes_no_adapter(tmp_path: Path) -> None:
    _trained().save_pretrained(tmp_path, is_main_process=False)
    assert not (tmp_path / FILE).exists()


class _Embedder(nn.Sequential):
    """As sentence_transformers has it: other names, and other arguments after the first."""

    def save_pretrained(self, path: str, model_name: str | None = None) -> None:
        torch.save(self.state_dict(), Path(path) / "model.pt")


@pytest.mark.parametrize("call", ["by place", "by name"])
def test_other_save_pretrained_writes_the_adapter_too(call: str, tmp_path: Path) -> None:
    model = _Embedder(nn.Linear(8, 8))
    adapt(model, PLAN, adapted="0")
    if call == "by place":
        model.save_pretrained(str(tmp_path), None)
    else:
        model.save_pretrained(model_name="mine", path=str(tmp_path))
    assert {file.name for file in tmp_path.iterdir()} == {FILE, "model.pt"}


def test_trainer_saves_a_model_that_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    model = _trained()
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    Trainer(model=model, args=arguments).save_model()
    _assert_comes_back(tmp_path, model)
