"""A run is its content: how its base, files and sources are called, and where they lie, is not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.config.run import RunConfig, run_name, run_settings
from lora_sweep.errors import CorpusError, RecordError
from lora_sweep.execution import group
from lora_sweep.execution.content import content_of
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.execution.inputs import load_corpus
from lora_sweep.models.base import base_fingerprint

Composed = Callable[..., RunConfig]


@pytest.fixture
def own_base(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base, called `m`."""
    return Path(shutil.copytree(tiny_base, tmp_path / "m"))


@pytest.fixture
def own_corpus(tiny_corpus: Path, tmp_path: Path) -> Path:
    """A copy of the tiny corpus, called `c`."""
    return Path(shutil.copytree(tiny_corpus, tmp_path / "c"))


@pytest.fixture
def name(composed: Composed, tiny_settings: list[str]) -> Callable[..., str]:
    """More overrides -> the name of the tiny run's folder."""

    def named(*more: str) -> str:
        config = composed(*tiny_settings, *more)
        return run_name(run_settings(config, 0, content_of(config)))

    return named


def test_base_is_known_however_it_is_called(
    own_base: Path, name: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(own_base)
    shutil.copytree(own_base, tmp_path / "elsewhere" / "another_name")
    spelled = ("m", "m/", "./m", "link", str(own_base), "elsewhere/another_name")
    assert len({name(f"model.path={path}") for path in spelled}) == 1


def _edited(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    "change",
    [
        lambda base: _edited(base / "tokenizer_config.json", do_lower_case=True),
        lambda base: _edited(base / "config.json", layer_norm_eps=1e-3),
        lambda base: (base / "vocab.txt").write_text("[PAD]\n"),
        lambda base: (base / "spiece.model").write_bytes(b"pieces"),
        lambda base: (base / "merges.txt").write_text("a b\n"),
        lambda base: (base / "added_tokens.json").write_text("{}"),
        lambda base: (base / "special_tokens_map.json").write_text("{}"),
    ],
    ids=["lower_case", "encoder", "vocabulary", "sentencepiece", "merges", "added", "special"],
)
def test_base_with_another_content_is_another(
    change: Callable[[Path], object], own_base: Path, tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(own_base, tmp_path / "changed"))
    change(changed)
    assert base_fingerprint(changed) != base_fingerprint(own_base)


def test_corpus_is_known_wherever_it_lies(
    own_corpus: Path, name: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moved = Path(shutil.copytree(own_corpus, tmp_path / "moved" / "there"))
    (moved / "train.tsv").rename(moved / "learn.tsv")
    ways = [
        ["data.path=c"],
        [f"data.path={own_corpus}/"],
        ["data.path=null", "data.train=c/train.tsv", "data.dev=./c/dev.tsv"],
        ["data.path=moved/there", "data.train=learn.tsv"],
    ]
    assert len({name(*way) for way in ways}) == 1
    with (moved / "learn.tsv").open("a") as file:
        file.write("a dog sees a cow\t1\n")
    assert name(*ways[-1]) != name(*ways[0])


def _add_row(corpus: Path) -> None:
    with (corpus / "train.tsv").open("a") as file:
        file.write("a dog sees a cow\t1\n")


def test_corpus_is_read_again_once_a_file_is_written_again(
    own_corpus: Path, composed: Composed, tiny_settings: list[str]
) -> None:
    data = composed(*tiny_settings, f"data.path={own_corpus}").data
    before = load_corpus(data)
    assert load_corpus(data) is before
    _add_row(own_corpus)
    assert len(load_corpus(data).train) == len(before.train) + 1


def test_runs_named_by_a_file_are_not_trained_on_another(
    own_corpus: Path, composed: Composed, tiny_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = group.train_together

    def train_then_edit(*arguments: Any) -> Any:
        trained = train(*arguments)
        _add_row(own_corpus)
        return trained

    monkeypatch.setattr(group, "train_together", train_then_edit)
    own = (*tiny_run, f"data.path={own_corpus}", "training.epochs=1")
    cells = [composed(*own, f"training.batch_size={size}") for size in (16, 8)]
    (error,) = [one for one in run_cells(cells, Options()) if not isinstance(one, float)]
    assert isinstance(error, CorpusError) and "must stay as it was" in str(error)
    with pytest.raises(RecordError, match="one whose content has changed"):
        run_cells(cells, Options())


def test_train_and_dev_do_not_change_places(own_corpus: Path, name: Callable[..., str]) -> None:
    there = f"data.path={own_corpus}"
    assert name(there) != name(there, "data.train=dev.tsv", "data.dev=train.tsv")


def test_file_that_is_not_there_is_named(composed: Composed, tiny_settings: list[str]) -> None:
    with pytest.raises(CorpusError, match=r"nothing.tsv: can't be read: No such file"):
        content_of(composed(*tiny_settings, "data.train=nothing.tsv"))


def test_settings_say_where_things_lie_from_any_folder(
    own_base: Path,
    composed: Composed,
    tiny_settings: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = run_settings(composed(*tiny_settings, "model.path=./m/../m"), 0)
    assert settings["model.path"] == str(own_base)
    assert settings["model.name"] == "m"
