import os
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pyarrow as pa
import pytest

from lora_sweep.data.hub import glue_is_cached, glue_tables
from lora_sweep.errors import CorpusError


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a copy of GLUE's rte in an empty cache; without a network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no network in tests")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    folder = tmp_path / "nyu-mll___glue" / "rte" / "0.0.0" / "abc"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    return folder


def write_arrow(path: Path, sentences: list[str]) -> None:
    table = pa.table({"sentence1": sentences, "label": [0] * len(sentences)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


def test_cached_shards_are_joined_in_order(copy: Path) -> None:
    write_arrow(copy / "glue-train-00001-of-00002.arrow", ["c"])
    write_arrow(copy / "glue-train-00000-of-00002.arrow", ["a", "b"])
    write_arrow(copy / "glue-validation.arrow", ["d"])
    tables = glue_tables("rte", ("train", "validation"))
    assert list(tables["train"]["sentence1"]) == ["a", "b", "c"]
    assert list(tables["validation"]["label"]) == [0]


def test_split_of_a_longer_name_is_another(copy: Path) -> None:
    write_arrow(copy / "glue-validation_matched.arrow", ["a"])
    assert glue_is_cached("rte", ("validation_matched",))
    assert not glue_is_cached("rte", ("validation",))


def test_copy_under_the_old_name_is_found(copy: Path) -> None:
    old = copy.parents[3] / "glue" / "rte" / "1.0.0" / "dacb"  # of load_dataset("glue", "rte")
    old.mkdir(parents=True)
    (old / "dataset_info.json").write_text("{}")
    write_arrow(old / "glue-train.arrow", ["a", "b"])
    assert glue_is_cached("rte")
    assert list(glue_tables("rte", ("train",))["train"]["sentence1"]) == ["a", "b"]


def test_newest_copy_is_taken_whatever_its_name(copy: Path) -> None:
    old = copy.parents[3] / "glue" / "rte" / "1.0.0" / "dacb"
    old.mkdir(parents=True)
    for seconds, (folder, text) in enumerate([(copy, "a"), (old, "b"), (copy, "c")], 1):
        (folder / "dataset_info.json").write_text("{}")
        (folder / "glue-train.arrow").unlink(missing_ok=True)
        write_arrow(folder / "glue-train.arrow", [text])
        os.utime(folder, (seconds, seconds))
        assert list(glue_tables("rte", ("train",))["train"]["sentence1"]) == [text]


def test_unfinished_download_is_not_cached(copy: Path) -> None:
    write_arrow(copy / "glue-train.arrow", ["a"])
    assert glue_is_cached("rte")
    copy.rename(copy.with_name("abc.incomplete"))
    assert not glue_is_cached("rte")


def test_unreachable_hub_says_what_to_do(copy: Path) -> None:
    message = r"GLUE's rte is neither .*\(ConnectionError\).*data.path=FOLDER.*data=minimal_pairs"
    with pytest.raises(CorpusError, match=message):
        glue_tables("rte", ("train",))


def test_reachable_hub_fills_in(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloaded = datasets.DatasetDict(
        {"train": datasets.Dataset.from_dict({"sentence1": ["a", "b"], "label": [1, 0]})}
    )
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: None)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: downloaded)
    assert glue_tables("rte", ("train",)) == {"train": {"sentence1": ["a", "b"], "label": [1, 0]}}
