"""Exports: stock libraries and ours give the run's logits; nothing is overwritten or mistaken."""

import dataclasses
import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from peft_readers import add_without_patterns
from torch import Tensor

from lora_sweep.commands.export import main
from lora_sweep.errors import (
    BaseModelError,
    LoraSweepError,
    RecordError,
    SettingError,
    StorageError,
)
from lora_sweep.export.card import model_card
from lora_sweep.export.write import write_export
from lora_sweep.models.hub_names import HubModel
from lora_sweep.trained.adapted import base_of, load_adapted
from lora_sweep.trained.adapter import TrainedAdapter, write_adapter
from lora_sweep.trained.open import open_adapter, open_classifier
from lora_sweep.vocabulary import CLASSIFIER_KINDS, EXPORT_KINDS, RANK_PATTERN

CPU = torch.device("cpu")
TEXTS = ["cat sees a dog", "the old bird likes not a red cow", "dog"]
# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def with_large_parts(adapter: TrainedAdapter) -> TrainedAdapter:
    """The adapter with R and head so large that all of them show in the logits; unequal ranks."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    ranks = [1 + place % 4 for place in range(len(adapter.about.matrices))]
    about = dataclasses.replace(adapter.about, integer_ranks=ranks)
    head = {name: 0.5 * draw(*part.shape) for name, part in adapter.head.items()}
    squares = {name: 2 * draw(k, k) for name, k in zip(adapter.parts, ranks, strict=True)}
    return dataclasses.replace(adapter, about=about, parts=squares, head=head)


def exported(
    adapter: TrainedAdapter, kind: str, tmp_path: Path, *, uniform_rank: bool = False
) -> Path:
    folder, base = tmp_path / kind, base_of(adapter.about, None)
    cache = tmp_path / "cache"
    write_export(adapter, kind, folder, base=base, cache_dir=cache, uniform_rank=uniform_rank)
    return folder


def our_logits(adapter: TrainedAdapter, tmp_path: Path) -> Tensor:
    """Those of our own forward pass, text by text."""
    from lora_sweep.data.corpus import LabelledTexts
    from lora_sweep.data.tokens import tokenise

    base = base_of(adapter.about, None)
    own = load_adapted(adapter, base, cache_dir=tmp_path / "cache", device=CPU)
    texts = LabelledTexts(tuple(TEXTS), None, (0,) * len(TEXTS))
    return own.outputs(
        tokenise(texts, own.tokenizer, max_length=32, cache_dir=None, tokenizer_fingerprint="")
    )


def stock_logits(model: Any, tokenizer: Any) -> Tensor:
    """As a user without lora_sweep gets them: one padded batch."""
    with torch.no_grad():
        logits: Tensor = model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    return logits


@pytest.mark.parametrize(
    "what", ["bert", "roberta", "deberta", "randomised", "regression", "fixed"]
)
def test_merged_model_has_our_logits(
    what: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    adapter = with_large_parts(open_adapter(trained_runs[what]))
    folder = exported(adapter, "merged", tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    found = stock_logits(model, AutoTokenizer.from_pretrained(folder))
    expected = our_logits(adapter, tmp_path)
    assert found.shape == (len(TEXTS), 1 if what == "regression" else 2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert sorted(path.name for path in folder.glob("*.safetensors")) == ["model.safetensors"]


def test_kind_of_factors_is_part_of_what_is_exported(
    trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    adapter = with_large_parts(open_adapter(trained_runs["randomised"]))
    settings = {k: v for k, v in adapter.about.settings.items() if "factors" not in k}
    exact = dataclasses.replace(
        adapter, about=dataclasses.replace(adapter.about, settings=settings)
    )
    distance = our_logits(adapter, tmp_path) - our_logits(exact, tmp_path)
    assert distance.abs().max() > 0.01  # singular vectors of another sign turn R around


@pytest.mark.parametrize(
    "what", ["bert", "roberta", "deberta", "randomised", "regression", "fixed"]
)
def test_peft_adapter_has_our_logits(
    what: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    adapter = with_large_parts(open_adapter(trained_runs[what]))
    folder = exported(adapter, "peft", tmp_path)
    path = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    options = {"pooler_hidden_act": "tanh"} if what == "deberta" else {}  # as the card says
    base = AutoModelForSequenceClassification.from_pretrained(
        path, num_labels=adapter.about.n_labels, **options
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = peft.PeftModel.from_pretrained(base, str(folder))
    expected = our_logits(adapter, tmp_path)
    torch.testing.assert_close(stock_logits(model, tokenizer), expected, atol=1e-5, rtol=0)
    merged = model.merge_and_unload()
    torch.testing.assert_close(stock_logits(merged, tokenizer), expected, atol=1e-5, rtol=0)


def read_without_patterns(folder: Path) -> tuple[Any, Any]:
    """Model and tokeniser as a server reads them that knows no patterns."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    config = json.loads((folder / "adapter_config.json").read_text())
    base = AutoModelForSequenceClassification.from_pretrained(config["base_model_name_or_path"])
    return add_without_patterns(base, folder), AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("uniform_rank", [False, True])
def test_reader_without_patterns_has_our_logits(
    uniform_rank: bool, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    adapter = with_large_parts(open_adapter(trained_runs["bert"]))
    folder = exported(adapter, "peft", tmp_path, uniform_rank=uniform_rank)
    found = stock_logits(*read_without_patterns(folder))
    torch.testing.assert_close(found, our_logits(adapter, tmp_path), atol=1e-5, rtol=0)


def test_uniform_rank_leaves_nothing_to_patterns(
    trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    """Neither to readers that allot all pairs from `r`, nor to PEFT."""
    peft = pytest.importorskip("peft")
    from safetensors.torch import load_file

    adapter = with_large_parts(open_adapter(trained_runs["bert"]))
    folder = exported(adapter, "peft", tmp_path, uniform_rank=True)
    config = peft.LoraConfig.from_pretrained(str(folder))
    assert (config.r, config.lora_alpha) == (4, 4)  # of the ranks 1, 2, 3, 4
    assert config.rank_pattern == config.alpha_pattern == {}
    tensors = load_file(folder / "adapter_model.safetensors")
    of_pairs = [name for name in tensors if ".lora_" in name]
    assert len(of_pairs) == 2 * 8
    for name in of_pairs:
        assert tensors[name].shape["lora_B" in name] == 4
    own = open_classifier(folder, base=None, cache_dir=tmp_path / "cache", device=CPU)
    found = stock_logits(own.model, own.tokenizer)  # type: ignore[attr-defined]
    torch.testing.assert_close(found, our_logits(adapter, tmp_path), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["merged", "loraxs", RANK_PATTERN])
def test_uniform_rank_is_refused_elsewhere(
    kind: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    adapter = open_adapter(trained_runs["bert"])
    with pytest.raises(SettingError, match=f"--to must be peft with --uniform-rank.* got {kind}"):
        exported(adapter, kind, tmp_path, uniform_rank=True)
    assert not (tmp_path / kind).exists()


def test_peft_scales_every_pair_by_one(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForSequenceClassification

    adapter = with_large_parts(open_adapter(trained_runs["bert"]))
    folder = exported(adapter, "peft", tmp_path)
    base = AutoModelForSequenceClassification.from_pretrained(base_of(adapter.about, None))
    model = peft.PeftModel.from_pretrained(base, str(folder))
    scales = [one.scaling["default"] for one in model.modules() if hasattr(one, "lora_A")]
    assert scales == [1.0] * 8


@pytest.mark.parametrize("what", ["bert", "mean"])
def test_rank_pattern_makes_a_lora_of_the_learnt_ranks(
    what: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    """As the card says; also for a run whose head no stock classifier has."""
    peft = pytest.importorskip("peft")
    from huggingface_hub import ModelCard
    from transformers import AutoModelForSequenceClassification

    adapter = with_large_parts(open_adapter(trained_runs[what]))
    folder = exported(adapter, RANK_PATTERN, tmp_path)
    ranks = json.loads((folder / "rank_pattern.json").read_text())
    assert list(ranks.values()) == [1, 2, 3, 4, 1, 2, 3, 4]
    assert ModelCard.load(folder / "README.md").data.eval_results is None  # ranks have none
    code = (folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code.replace("DIR", str(folder)), names)
    base = AutoModelForSequenceClassification.from_pretrained(base_of(adapter.about, None))
    layers = {
        name.removeprefix("base_model.model.bert."): one
        for name, one in peft.get_peft_model(base, names["config"]).named_modules()
        if hasattr(one, "lora_A")
    }
    assert {name: one.r["default"] for name, one in layers.items()} == ranks
    assert {one.scaling["default"] for one in layers.values()} == {1.0}


def test_rank_pattern_predicts_nothing(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    folder = exported(open_adapter(trained_runs["bert"]), RANK_PATTERN, tmp_path)
    with pytest.raises(RecordError, match=r"run's folder or a loraxs export, but got .*rank_patt"):
        open_classifier(folder, base=None, cache_dir=tmp_path / "cache", device=CPU)


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_base_is_named_by_its_whole_path(
    kind: str, trained_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tiny` would be another folder for a reader elsewhere, or a model of the hub."""
    adapter = open_adapter(trained_runs["bert"])
    base = base_of(adapter.about, None)
    monkeypatch.chdir(base.parent)
    settings = adapter.about.settings | {"model.path": base.name}
    about = dataclasses.replace(adapter.about, settings=settings)
    folder = exported(dataclasses.replace(adapter, about=about), kind, tmp_path)
    monkeypatch.chdir(tmp_path)
    found = json.loads((folder / "lora_sweep.json").read_text())["settings"]["model.path"]
    assert Path(found) == base.resolve()
    assert f"- **Base:** `{base.resolve()}`" in (folder / "README.md").read_text()
    if kind == "peft":
        config = json.loads((folder / "adapter_config.json").read_text())
        assert Path(config["base_model_name_or_path"]) == base.resolve()
    if kind == "merged":
        assert "_name_or_path" not in json.loads((folder / "config.json").read_text())


EMBEDDED_ON_HUB = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("own", "place", "name", "has_revision"),
    [
        ({"model.name": "someone/tiny"}, "elsewhere", "someone/tiny", False),
        ({"model.name": "someone/tiny"}, "models--someone--tiny", "someone/tiny", True),
        ({"model.path": "snapshot"}, "models--someone--tiny", "someone/tiny", True),
        ({"model.name": "minilm"}, "site-packages", EMBEDDED_ON_HUB, True),
    ],
)
def test_base_of_the_hub_is_named_by_name_and_revision_alone(
    own: dict[str, str],
    place: str,
    name: str,
    has_revision: bool,
    trained_runs: dict[str, Path],
    tmp_path: Path,
) -> None:
    adapter = open_adapter(trained_runs["bert"])
    base = tmp_path / place / "snapshots" / "1a2b3c"
    shutil.copytree(base_of(adapter.about, None), base)
    settings = adapter.about.settings | {"model.path": None} | own
    about = dataclasses.replace(adapter.about, settings=settings)
    hub = dataclasses.replace(adapter, about=about)
    out = tmp_path / "out"
    write_export(hub, "peft", out, base=base, cache_dir=tmp_path / "cache")
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == name
    if name == EMBEDDED_ON_HUB:  # a commit of the hub
        assert len(config["revision"]) == 40
    else:
        assert config["revision"] == ("1a2b3c" if has_revision else None)
    for file in ("adapter_config.json", "classifier/config.json", "tokenizer_config.json"):
        assert str(tmp_path) not in (out / file).read_text()
    card = (out / "README.md").read_text()
    assert f"- **Base:** {name}" in card
    assert (f'"{name}", revision="{config["revision"]}", config' in card) == has_revision


@pytest.mark.parametrize("what", ["bert", "roberta", "deberta"])
def test_names_of_three_labels_come_along_in_peft_form(
    what: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    """Stock PEFT gives as many outputs as there are labels, and transformers their names."""
    peft = pytest.importorskip("peft")
    from transformers import AutoConfig, AutoTokenizer

    names = ["no", "yes", "perhaps"]
    two = with_large_parts(open_adapter(trained_runs[what]))
    weight, bias = two.head["head.out.weight"], two.head["head.out.bias"]
    head = two.head | {
        "head.out.weight": torch.cat([weight, weight.sum(0, keepdim=True)]),
        "head.out.bias": torch.cat([bias, bias.sum(0, keepdim=True)]),
    }
    about = dataclasses.replace(two.about, label_names=names)
    folder = exported(dataclasses.replace(two, about=about, head=head), "peft", tmp_path)
    config = AutoConfig.from_pretrained(folder, subfolder="classifier")
    model = peft.AutoPeftModelForSequenceClassification.from_pretrained(
        str(folder), id2label=config.id2label, label2id=config.label2id
    )
    assert model.config.id2label == {0: "no", 1: "yes", 2: "perhaps"}
    assert model.config.label2id == {"no": 0, "yes": 1, "perhaps": 2}
    logits = stock_logits(model, AutoTokenizer.from_pretrained(folder))
    torch.testing.assert_close(logits[:, 2], logits[:, :2].sum(1), atol=1e-5, rtol=0)


def test_every_matrix_shows_in_the_logits(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    """Else the tests above would not see one that is left out."""
    adapter = with_large_parts(open_adapter(trained_runs["bert"]))
    whole = our_logits(adapter, tmp_path)
    for name, square in adapter.parts.items():
        others = adapter.parts | {name: torch.zeros_like(square)}
        without = our_logits(dataclasses.replace(adapter, parts=others), tmp_path)
        assert (without - whole).abs().max() > 1e-4  # ten times what is tolerated


def test_peft_adapter_wastes_no_rank(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    adapter = with_large_parts(open_adapter(trained_runs["bert"]))
    folder = exported(adapter, "peft", tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    for matrix, k in zip(adapter.about.matrices, adapter.about.integer_ranks, strict=True):
        name = f"base_model.model.bert.{matrix}"
        A, B = tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]
        assert (len(A), B.shape[1]) == (k, k)
        assert torch.linalg.matrix_rank(B @ A) == k
    assert len(tensors) == 2 * 8 + 4  # two of each matrix, and the head


def test_loraxs_export_loads_back_to_the_bit(
    trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    adapter = open_adapter(trained_runs["bert"])
    back = open_adapter(exported(adapter, "loraxs", tmp_path))
    assert back.about == dataclasses.replace(adapter.about, kind="loraxs")
    assert back.parts.keys() == adapter.parts.keys()
    assert all(map(torch.equal, back.parts.values(), adapter.parts.values()))
    assert adapter.logits is not None and back.logits is not None
    assert torch.equal(back.logits, adapter.logits)
    assert back.head.keys() == adapter.head.keys()
    assert torch.equal(our_logits(back, tmp_path), our_logits(adapter, tmp_path))


@pytest.mark.parametrize("kind", CLASSIFIER_KINDS)
def test_export_opens_as_a_classifier(
    kind: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    from lora_sweep.data.corpus import LabelledTexts
    from lora_sweep.trained.classifier import predict_texts

    if kind == "peft":
        pytest.importorskip("peft")
    adapter = open_adapter(trained_runs["roberta"])
    folder = exported(adapter, kind, tmp_path)
    found = open_classifier(folder, base=None, cache_dir=tmp_path / "cache", device=CPU)
    texts = LabelledTexts(tuple(TEXTS), None, (0,) * len(TEXTS))
    probabilities = predict_texts(found, texts).probabilities
    expected = torch.softmax(our_logits(adapter, tmp_path), dim=1)
    torch.testing.assert_close(torch.tensor(probabilities), expected.double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["peft", "merged"])
def test_mean_pooling_is_refused_for_stock_formats(
    kind: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    adapter = open_adapter(trained_runs["mean"])
    with pytest.raises(BaseModelError, match=r"model\.pooling must be cls.*--to loraxs.*or train"):
        exported(adapter, kind, tmp_path)
    assert not (tmp_path / kind).exists()


@pytest.mark.parametrize("kind", CLASSIFIER_KINDS)
def test_export_has_a_model_card(kind: str, trained_runs: dict[str, Path], tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    adapter = open_adapter(trained_runs["bert"])
    card = ModelCard.load(exported(adapter, kind, tmp_path) / "README.md")
    own = adapter.about.seeds
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.eval_results[0].metric_type == "accuracy"
    assert f"`{adapter.about.run}`" in card.text
    assert "Over the 2 seeds of the run's cell, accuracy is" in card.text
    assert all(f"{seed}: {100 * value:.2f}" in card.text for seed, value in own.items())
    assert "better than it is" in card.text


@pytest.mark.parametrize("what", ["bert", "deberta"])
@pytest.mark.parametrize("kind", ["peft", "merged"])
def test_code_of_the_card_works(
    kind: str, what: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    if kind == "peft":
        pytest.importorskip("peft")
    adapter = with_large_parts(open_adapter(trained_runs[what]))
    folder = exported(adapter, kind, tmp_path)
    card = (folder / "README.md").read_text()
    code = card.partition("```python\n")[2].partition("```")[0]
    code = code.replace("DIR", str(folder)).replace("BASE", adapter.about.settings["model.path"])
    names: dict[str, Any] = {}
    exec(code, names)
    found = stock_logits(names["model"], names["tokenizer"])
    torch.testing.assert_close(found, our_logits(adapter, tmp_path), atol=1e-5, rtol=0)
    assert list(names["model"].config.id2label.values()) == adapter.about.label_names
    needs_more = kind == "peft" and what == "deberta"
    assert ('Loaded without `pooler_hidden_act="tanh"`' in card) == needs_more


@pytest.mark.parametrize("loader", ["AutoModelForSequenceClassification", "AutoPeft"])
@pytest.mark.parametrize("what", ["bert", "roberta", "regression"])
def test_peft_adapter_loads_from_its_folder_alone(
    what: str, loader: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    """The base is found by its path, and the head lies in the adapter."""
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    stock = AutoModelForSequenceClassification
    chosen = peft.AutoPeftModelForSequenceClassification if loader == "AutoPeft" else stock
    adapter = with_large_parts(open_adapter(trained_runs[what]))
    folder = exported(adapter, "peft", tmp_path)
    model = chosen.from_pretrained(str(folder), num_labels=adapter.about.n_labels)
    found = stock_logits(model, AutoTokenizer.from_pretrained(folder))
    torch.testing.assert_close(found, our_logits(adapter, tmp_path), atol=1e-5, rtol=0)


def test_folder_that_holds_something_is_left_alone(
    trained_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    run = str(trained_runs["bert"])
    assert main([run, "--to", "loraxs", "--out", str(tmp_path / "out")]) == 1
    assert "--out must be a new or an empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_factors_that_may_not_be_read_are_no_fault_of_the_folder(
    trained_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError(13, "Permission denied", "factors/x.safetensors")

    monkeypatch.setattr("lora_sweep.export.stock.Factoriser.__call__", refuse)
    for kind in ("peft", "merged"):
        with pytest.raises(PermissionError, match=r"factors/x\.safetensors"):
            exported(open_adapter(trained_runs["bert"]), kind, tmp_path)
        assert not (tmp_path / kind).exists()


@pytest.mark.parametrize("kind", ["loraxs", RANK_PATTERN, "peft", "merged"])
def test_only_stock_exports_want_a_cache(
    kind: str,
    trained_runs: dict[str, Path],
    tmp_path: Path,
    user_without_home: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [str(trained_runs["bert"]), "--to", kind, "--out", str(tmp_path / "out")]
    wants = kind in ("peft", "merged")
    assert main(command) == int(wants)
    told = "LORA_SWEEP_CACHE must be a path without ~ where the user has no home folder"
    assert (told in capsys.readouterr().err) == wants
    assert (tmp_path / "out").exists() != wants


@pytest.mark.parametrize("kind", ["merged", "peft"])
def test_stock_export_is_opened_without_a_cache(
    kind: str, trained_runs: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "peft":
        pytest.importorskip("peft")
    folder = exported(open_adapter(trained_runs["bert"]), kind, tmp_path)
    request.getfixturevalue("user_without_home")
    open_classifier(folder, base=None, device=CPU)
    with pytest.raises(SettingError, match="LORA_SWEEP_CACHE must be a path without ~"):
        open_classifier(trained_runs["bert"], base=None, device=CPU)


def test_command_exports_into_an_empty_folder(
    trained_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert main([str(trained_runs["bert"]), "--to", "loraxs", "--out", str(out)]) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["README.md", "adapter.safetensors", "head.safetensors", "lora_sweep.json"]
    assert all(name in capsys.readouterr().out for name in [str(out / "lora_sweep.json")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("file", ["lora_sweep.json", "adapter.safetensors", "head.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_damaged_export_is_refused(
    file: str, damage: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = exported(open_adapter(trained_runs["bert"]), "loraxs", tmp_path)
    content = bytearray((folder / file).read_bytes())
    (folder / file).unlink()
    if damage != "missing":
        content[-5] ^= 1
        (folder / file).write_bytes(content if damage == "changed" else content[:-5])
    with pytest.raises(RecordError, match=r"can't be read|must be as it|must be the fol"):
        open_adapter(folder)


def test_export_of_96_matrices_is_a_few_hundred_kilobytes(
    trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    """As many as RoBERTa-large has, all at the study's largest rank; the head apart."""
    own = open_adapter(trained_runs["bert"])
    names = [f"encoder.layer.{place}.attention.output.dense" for place in range(96)]
    about = dataclasses.replace(own.about, kind="loraxs", matrices=names, integer_ranks=[25] * 96)
    squares = {f"R/{name}": torch.randn(25, 25) for name in names}
    large = dataclasses.replace(own, about=about, parts=squares, logits=torch.zeros(96))
    write_adapter(tmp_path, large)
    assert 240_000 < (tmp_path / "adapter.safetensors").stat().st_size < 260_000


def test_parts_of_two_exports_are_not_mixed(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    one = exported(open_adapter(trained_runs["bert"]), "loraxs", tmp_path)
    two = exported(open_adapter(trained_runs["other_seed"]), "loraxs", tmp_path / "two")
    shutil.copy(two / "head.safetensors", one)
    with pytest.raises(RecordError, match=r"must be of the run .*, but got another's"):
        open_adapter(one)


def test_family_without_our_head_is_refused(
    trained_runs: dict[str, Path], tiny_base: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny_base, tmp_path / "electra"))
    config = json.loads((other / "config.json").read_text()) | {"model_type": "electra"}
    (other / "config.json").write_text(json.dumps(config))
    adapter = open_adapter(trained_runs["bert"])
    with pytest.raises(LoraSweepError, match=r"must be of a family .* but got electra"):
        write_export(adapter, "merged", tmp_path / "out", base=other, cache_dir=tmp_path)


def test_out_must_not_be_a_file(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "peft").write_text("mine")
    with pytest.raises(StorageError, match="must be a folder"):
        exported(open_adapter(trained_runs["bert"]), "peft", tmp_path)


@pytest.mark.parametrize(
    ("kind", "file"), [("peft", "adapter_model.safetensors"), ("merged", "model.safetensors")]
)
def test_stock_export_without_its_weights_is_refused(
    kind: str, file: str, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    if kind == "peft":
        pytest.importorskip("peft")
    folder = exported(open_adapter(trained_runs["bert"]), kind, tmp_path)
    (folder / file).rename(folder / "adapter_model.bin")
    with pytest.raises(LoraSweepError, match=r"must have adapter_model|can't be loaded"):
        open_classifier(folder, base=None, cache_dir=tmp_path / "cache", device=CPU)


def test_card_shows_names_as_they_are(trained_runs: dict[str, Path]) -> None:
    """No name turns the writing around, or ends a line, a piece of code or a string in it."""
    about = dataclasses.replace(open_adapter(trained_runs["bert"]).about, kind="peft")
    odd = "a\u202eb`\u200b\x1b[1m\n# c"
    paths = {"model.path": f"/x/{odd}", "model.adapter": odd, "data.task": odd}
    card = model_card(
        dataclasses.replace(
            about, run=odd, label_names=[odd, "no"], settings=about.settings | paths
        ),
        None,
        None,
    )
    body = card.partition("\n---\n")[2]
    hidden = [char for char in body if unicodedata.category(char)[0] == "C" and char != "\n"]
    assert hidden == []
    assert "\n# c" not in body and body.count("```") == 2
    said = model_card(about, None, HubModel('x"y', None))
    assert 'from_pretrained("x\\"y", ' in said
