import json
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.data.corpus import Corpus
from lora_sweep.data.files import load_files
from lora_sweep.errors import CorpusError, SettingError


def load(folder: Path, train: list[Any], dev: list[Any], /, **settings: Any) -> Corpus:
    """Writes the labels of train and dev, each with a text of its own, and loads them."""
    for name, labels in (("train", train), ("dev", dev)):
        lines = [
            json.dumps({"text": f"{name} {row}", "label": label})
            for row, label in enumerate(labels)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    plain: dict[str, Any] = {"text": "text", "text_pair": None, "label": "label"}
    plain |= {"train": folder / "train.jsonl", "dev": folder / "dev.jsonl"}
    return load_files(**plain | {"regression": False, "metric": None} | settings)


@pytest.mark.parametrize(
    ("train", "dev", "names", "classes"),
    [
        (["yes", "no", "yes"], ["no"], ("no", "yes"), (1, 0, 1)),
        ([10, 9, 10], ["9"], ("9", "10"), (1, 0, 1)),
        (["2", "10", "-1"], [10], ("-1", "2", "10"), (1, 2, 0)),
        ([True, False], [True], ("false", "true"), (1, 0)),
        ([1.0, 0.0], [1], ("0", "1"), (1, 0)),
        ([1, "b", "a"], ["a"], ("1", "a", "b"), (0, 2, 1)),
    ],
    ids=["strings", "integers", "integer_texts", "booleans", "whole_floats", "mixed"],
)
def test_labels_are_numbered_in_order(
    tmp_path: Path, train: list[Any], dev: list[Any], names: tuple[str, ...], classes: Any
) -> None:
    corpus = load(tmp_path, train, dev)
    assert corpus.task.label_names == names
    assert corpus.train.labels == classes


def test_two_csv_parts_make_up_the_headline(tmp_path: Path) -> None:
    for name in ("train", "near", "far"):
        (tmp_path / f"{name}.csv").write_text(f"a,b,y\n{name} 1,p,no\n{name} 2,q,yes\n")
    corpus = load(
        tmp_path,
        [],
        [],
        train=tmp_path / "train.csv",
        dev={"near": tmp_path / "near.csv", "far": tmp_path / "far.csv"},
        text="a",
        text_pair="b",
        label="y",
    )
    assert list(corpus.dev) == ["near", "far"] == list(corpus.headline_parts)
    assert corpus.dev["far"].texts == ("far 1", "far 2")
    assert corpus.dev["far"].pairs == ("p", "q")


def test_regression_takes_numbers_and_texts(tmp_path: Path) -> None:
    corpus = load(tmp_path, ["1.5", 2, -0.25], [7], regression=True)
    assert corpus.task.is_regression
    assert corpus.train.labels == (1.5, 2.0, -0.25)
    assert corpus.task.metrics == ("pearson", "spearman")


@pytest.mark.parametrize(
    ("labels", "metric", "metrics"),
    [
        ([0, 1], None, ("accuracy", "f1", "matthews_correlation")),
        ([0, 1], "f1", ("f1", "accuracy", "matthews_correlation")),
        ([0, 1, 2], None, ("accuracy",)),
    ],
    ids=["two_classes", "named", "three_classes"],
)
def test_headline_metric_comes_first(
    tmp_path: Path, labels: list[int], metric: str | None, metrics: tuple[str, ...]
) -> None:
    assert load(tmp_path, labels, [0], metric=metric).task.metrics == metrics


@pytest.mark.parametrize(
    ("labels", "regression", "metric"),
    [([0, 1, 2], False, "f1"), ([0, 1], False, "pearson"), ([0.5], True, "accuracy")],
    ids=["three_classes", "classes", "regression"],
)
def test_metric_that_does_not_fit_is_refused(
    tmp_path: Path, labels: list[float], regression: bool, metric: str
) -> None:
    with pytest.raises(SettingError, match=f"metric must be one of .* but got '{metric}'"):
        load(tmp_path, labels, labels, regression=regression, metric=metric)


@pytest.mark.parametrize(
    ("train", "dev", "message"),
    [
        ([0, 1], [0, 2], r"dev.jsonl, line 2, column 'label': label '2' does not occur in train"),
        ([0, None], [0], r"train.jsonl, line 2, column 'label': .* but got None"),
        ([0, float("nan")], [0], "train.jsonl, line 2, .* but got nan"),
        (["a", " "], ["a"], "line 2, .* the label is empty"),
        ([0.5, 1.5], [0.5], r"real numbers, .* \(is this regression\?\)"),
        ([1, 1], [1], "column 'label' is '1' in every row"),
    ],
    ids=["unknown", "null", "nan", "blank", "real", "one_class"],
)
def test_bad_class_label_is_refused(
    tmp_path: Path, train: list[Any], dev: list[Any], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        load(tmp_path, train, dev)


@pytest.mark.parametrize("label", ["high", "inf", "nan", "", None, True], ids=repr)
def test_bad_score_is_refused(tmp_path: Path, label: Any) -> None:
    with pytest.raises(CorpusError, match=r"train.jsonl, line 2, .* finite number, but got"):
        load(tmp_path, [0.5, label], [0.5], regression=True)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("Same.", "'Same.' in .*train.tsv, line 2 and .*dev.tsv, line 4"),
        (" ", "empty texts: 1, the first in .*dev.tsv, line 4, column 'text'"),
    ],
    ids=["in_two_splits", "empty"],
)
def test_bad_text_is_refused_with_line(tmp_path: Path, second: str, message: str) -> None:
    (tmp_path / "train.tsv").write_text("text\tlabel\nSame.\t0\nOther.\t1\n")
    (tmp_path / "dev.tsv").write_text(f"text\tlabel\nOne.\t0\n\n{second}\t1\n")
    files = {"train": tmp_path / "train.tsv", "dev": tmp_path / "dev.tsv"}
    with pytest.raises(CorpusError, match=message):
        load(tmp_path, [], [], **files)


def test_text_that_is_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="line 1, column 'label': must be text, but got 0"):
        load(tmp_path, [0, 1], [0], text="label")


@pytest.mark.parametrize("part", ["", "a/b", "train", "selection"])
def test_part_name_that_is_taken_is_refused(tmp_path: Path, part: str) -> None:
    with pytest.raises(SettingError, match="a dev part's name must not be"):
        load(tmp_path, [0, 1], [0], dev={part: tmp_path / "dev.jsonl"})


def test_dev_without_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="dev must name at least one file"):
        load(tmp_path, [0, 1], [0], dev={})
