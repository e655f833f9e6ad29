import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import datasets
import pytest

from lora_sweep.data import sources
from lora_sweep.data.sources import load_cola, load_glue, load_minimal_pairs
from lora_sweep.errors import CorpusError, SettingError

BESIDE_THE_CHECKOUT = Path(__file__).parents[3] / "shared" / "data" / "cola_public" / "raw"


@pytest.fixture
def real_cola() -> Path:
    folder = Path(os.environ.get("LORA_SWEEP_COLA", BESIDE_THE_CHECKOUT))
    if not folder.is_dir():
        pytest.skip(f"NO REAL COLA in {folder}: set LORA_SWEEP_COLA to the folder of its TSVs")
    return folder


def write_cola(folder: Path, **lines: str) -> Path:
    plain = {
        "in_domain_train": 'x\t1\t\tOne "two.\nx\t0\t*\tnull\n',
        "in_domain_dev": "x\t1\t\tThree.\n",
        "out_of_domain_dev": "y\t0\t*\tFour.",
    }
    for name, content in (plain | lines).items():
        (folder / f"{name}.tsv").write_text(content)
    return folder


def test_real_cola_has_the_published_counts(real_cola: Path) -> None:
    corpus = load_cola(real_cola)
    splits = dict(corpus.splits())
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 8551,
        "in_domain": 527,
        "out_of_domain": 516,
    }
    assert corpus.headline_parts == ("in_domain", "out_of_domain")
    for split in splits.values():
        assert sum(split.labels) / len(split) == pytest.approx(0.7, abs=0.02)


def test_cola_is_read_without_quoting(tmp_path: Path) -> None:
    corpus = load_cola(write_cola(tmp_path))
    assert corpus.train.texts == ('One "two.', "null")
    assert corpus.train.labels == (1, 0)
    assert corpus.dev["out_of_domain"].texts == ("Four.",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x\t1\tTwo.", r"in_domain_dev.tsv, line 2: must have 4 columns .* but got 3"),
        ("x\t2\t\tTwo.", r"in_domain_dev.tsv, line 2, column 2 .* but got '2'"),
        ("x\t1\t\t ", r"in_domain_dev.tsv, line 2, column 4 \(sentence\): is empty"),
    ],
    ids=["columns", "label", "empty"],
)
def test_broken_cola_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    write_cola(tmp_path, in_domain_dev=f"x\t1\t\tOne.\n{line}\n")
    with pytest.raises(CorpusError, match=message):
        load_cola(tmp_path)


def test_missing_cola_files_are_named(tmp_path: Path) -> None:
    (write_cola(tmp_path) / "in_domain_dev.tsv").unlink()
    with pytest.raises(CorpusError, match=r"folder `raw` .* lacks in_domain_dev.tsv$"):
        load_cola(tmp_path)


def fake_hub(monkeypatch: pytest.MonkeyPatch, **splits: dict[str, Sequence[object]]) -> None:
    tables = datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(columns) for name, columns in splits.items()}
    )
    monkeypatch.setattr(sources, "glue_tables", lambda _, names: {n: tables[n] for n in names})


def test_glue_cola_has_one_dev_part(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(
        monkeypatch,
        train={"sentence": ["a", "b"], "label": [1, 0], "idx": [0, 1]},
        validation={"sentence": ["c"], "label": [1], "idx": [0]},
        test={"sentence": ["d"], "label": [-1], "idx": [0]},
    )
    corpus = load_glue("cola")
    assert corpus.headline_parts == tuple(corpus.dev) == ("dev",)
    assert corpus.train.texts == ("a", "b")
    assert corpus.train.pairs is None
    assert corpus.train.labels == (1, 0)


def test_glue_mnli_has_two_parts_one_headline(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(
        monkeypatch,
        train={"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [2, 0]},
        validation_matched={"premise": ["e"], "hypothesis": ["f"], "label": [1]},
        validation_mismatched={"premise": ["g"], "hypothesis": ["h"], "label": [2]},
    )
    corpus = load_glue("mnli")
    assert list(corpus.dev) == ["matched", "mismatched"]
    assert corpus.headline_parts == ("matched",)
    assert corpus.dev["mismatched"].pairs == ("h",)


def test_glue_stsb_keeps_real_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(
        monkeypatch,
        train={"sentence1": ["a", "b"], "sentence2": ["b", "a"], "label": [3.75, 1.0]},
        validation={"sentence1": ["c"], "sentence2": ["d"], "label": [5.0]},
    )
    assert load_glue("stsb").train.labels == (3.75, 1.0)


def test_unknown_glue_task_lists_tasks() -> None:
    with pytest.raises(SettingError, match=r"must be one of cola, .*wnli, not 'sst'"):
        load_glue("sst")


def test_minimal_pairs_become_a_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Judgement:
        text: str
        acceptable: bool

    def generate_splits(**counts: int) -> dict[str, list[Judgement]]:
        assert counts == {"seed": 5, "n_train": 2, "n_dev": 1, "n_out_of_domain": 1}
        train = [Judgement("a", True), Judgement("b", False)]
        return {
            "train": train,
            "in_domain": [Judgement("c", True)],
            "out_of_domain": [Judgement("d", False)],
        }

    module = ModuleType("minimal_pairs")
    monkeypatch.setattr(module, "generate_splits", generate_splits, raising=False)
    monkeypatch.setitem(sys.modules, "lora_sweep.data.minimal_pairs.corpus", module)
    corpus = load_minimal_pairs(seed=5, n_train=2, n_dev=1, n_out_of_domain=1)
    assert corpus.train.labels == (1, 0)
    assert corpus.dev["out_of_domain"].labels == (0,)
    assert corpus.headline_parts == ("in_domain",)
