"""`export_peft` writes an adapter that PEFT, and readers without patterns, read to the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from classifiers import FAMILIES, PLAN, make_batch, make_model
from peft_readers import add_without_patterns
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from lora_sweep import AdapterPlan, adapt, export_peft, find_adapter
from lora_sweep.errors import StorageError

# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def _adapted(family: str = "bert") -> Any:
    """A model of unequal ranks whose R and head show in the logits."""
    model = make_model(family).eval()
    adapter = adapt(model, PLAN, adapted=FAMILIES[family])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        adapter.R.normal_(std=0.3, generator=generator)
        adapter.logits.copy_(torch.linspace(-2, 2, len(adapter.logits)))
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.shape[-1] == 16:  # of the head
                parameter.normal_(std=0.3, generator=generator)
    return model


def _base(family: str, folder: Path) -> Any:
    """The plain model as a reader has it: from its own folder."""
    make_model(family).save_pretrained(folder)
    return AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()


@torch.no_grad()
def _logits(model: Any) -> Tensor:
    logits: Tensor = model.eval()(**make_batch()).logits
    return logits


@pytest.mark.parametrize("family", FAMILIES)
def test_peft_gives_the_adapted_models_logits(family: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = _adapted(family)
    expected = _logits(model)
    export_peft(model, tmp_path / "out")
    torch.testing.assert_close(_logits(model), expected, rtol=0, atol=0)  # stays as it is
    base = _base(family, tmp_path / "base")
    assert not torch.allclose(_logits(base), expected, atol=1e-3)
    found = peft.PeftModel.from_pretrained(base, str(tmp_path / "out"))
    torch.testing.assert_close(_logits(found), expected, rtol=0, atol=1e-5)
    pairs = {name: one for name, one in found.named_modules() if hasattr(one, "lora_A")}
    ranks = find_adapter(model).integer_ranks().values()
    assert [one.r["default"] for one in pairs.values()] == list(ranks)
    assert len(set(ranks)) > 1


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_reader_without_patterns_gives_them_too(family: str, tmp_path: Path) -> None:
    model = _adapted(family)
    export_peft(model, tmp_path / "out", uniform_rank=True)
    found = add_without_patterns(_base(family, tmp_path / "base"), tmp_path / "out")
    torch.testing.assert_close(_logits(found), _logits(model), rtol=0, atol=1e-5)


def test_module_trained_within_the_encoder_is_exported(tmp_path: Path) -> None:
    """BERT's pooler lies there; nothing else but pooler, head and pairs is written."""
    peft = pytest.importorskip("peft")
    from safetensors.torch import load_file

    model = _adapted()
    model.bert.pooler.requires_grad_(True)
    with torch.no_grad():
        model.bert.pooler.dense.weight.mul_(-1)
    export_peft(model, tmp_path / "out")
    base = _base("bert", tmp_path / "base")
    found = peft.PeftModel.from_pretrained(base, str(tmp_path / "out"))
    torch.testing.assert_close(_logits(found), _logits(model), rtol=0, atol=1e-5)
    names = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert len(names) == 2 * 8 + 2 + 2


def test_ranks_are_those_of_the_adapters_step(tmp_path: Path) -> None:
    """With a budget of rank 2 a matrix at step 0, 4 at the end; fixed ranks follow it."""
    from safetensors.torch import load_file

    plan = AdapterPlan(
        rank_min=1, rank_max=6, rank_average=4, budget_start=2.0, budget_move_epochs=1.0
    )
    model = make_model()
    adapter = adapt(model, plan)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    for step, rank in ((0, 2), (2, 4)):
        adapter.step = step
        export_peft(model, tmp_path / str(step))
        tensors = load_file(tmp_path / str(step) / "adapter_model.safetensors")
        found = [len(part) for name, part in tensors.items() if name.endswith("lora_A.weight")]
        assert found == [rank] * 8


def test_adapter_names_the_base_that_it_was_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its whole path, wherever it was loaded; transformers then finds all by the adapter."""
    pytest.importorskip("peft")
    _base("roberta", tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(
        "base", attn_implementation="eager"
    ).eval()
    adapt(model, PLAN)
    nn.init.normal_(find_adapter(model).R, std=0.3)
    export_peft(model, tmp_path / "out")
    monkeypatch.chdir("/")
    found = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", attn_implementation="eager"
    )
    torch.testing.assert_close(_logits(found), _logits(model), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("base", "expected"),
    [(None, None), ("someone/base", "someone/base"), (Path("/nowhere"), "/nowhere")],
)
def test_adapter_names_the_base_that_is_given(
    base: Any, expected: str | None, tmp_path: Path
) -> None:
    export_peft(_adapted(), tmp_path / "out", base=base)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == expected


class Pair(nn.Module):
    """Two linear layers and a head beside them, called as it is told."""

    def __init__(self, head: str) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8)))
        self.add_module(head, nn.Linear(8, 2))
        self.name_of_head = head

    @property
    def base_model(self) -> nn.Module:
        return self.encoder

    def forward(self, x: Tensor) -> Tensor:
        head: Tensor = self.get_submodule(self.name_of_head)(self.encoder(x))
        return head


def test_model_of_ones_own_is_exported_too(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    base = Pair("head")
    weights, x = base.state_dict(), torch.randn(3, 8)
    model = Pair("head")
    model.load_state_dict(weights)
    adapter = adapt(model, PLAN, adapted=("0",))
    with torch.no_grad():
        adapter.R.normal_()
        model.get_submodule("head").get_parameter("weight").normal_()
        expected = model.eval()(x)
        export_peft(model, tmp_path / "out")
        found = peft.PeftModel.from_pretrained(base, str(tmp_path / "out")).eval()(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def _same_layer_twice() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    model.append(model[0])
    return model


def _with_own_parameter() -> nn.Module:
    model = Pair("head")
    model.scale = nn.Parameter(torch.ones(()))
    return model


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (_same_layer_twice(), r"0 must be a layer with one name, for PEFT, but got also \['2'\]"),
        (
            nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8))),
            r"0 .* with 1\.0: rename",
        ),
        (Pair("0"), r"encoder\.0 must have a name that PEFT can tell .* with 0: rename"),
        (_with_own_parameter(), r"scale must be a parameter of a module without adapted layers"),
    ],
    ids=["two names", "a name ends another", "the head's name ends one", "a bare parameter"],
)
def test_what_peft_would_put_elsewhere_is_refused(
    model: nn.Module, told: str, tmp_path: Path
) -> None:
    adapt(model, PLAN, adapted="0")
    with pytest.raises(ValueError, match=told):
        export_peft(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"folder must be a new or an empty folder, .* mine\.t"):
        export_peft(_adapted(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_model_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model must be adapted by adapt\(model, ...\)"):
        export_peft(make_model(), tmp_path / "out")
