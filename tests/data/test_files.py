import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lora_sweep.data.corpus import Corpus
from lora_sweep.data.files import label_name, load_files, load_labelled
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
        (["1.0", " 0", "01"], ["0."], ("0", "1"), (1, 0, 1)),
        (["True", "FALSE ", "true"], [False], ("false", "true"), (1, 0, 1)),
        ([True, 1, 1.0], ["1", "TRUE"], ("1", "true"), (1, 0, 0)),
        ([1, "b", "a"], ["a"], ("1", "a", "b"), (0, 2, 1)),
    ],
    ids=[
        *("strings", "integers", "integer_texts", "booleans", "whole_floats", "whole_texts"),
        *("truth_texts", "truth_is_no_number", "mixed"),
    ],
)
def test_labels_are_numbered_in_order(
    tmp_path: Path, train: list[Any], dev: list[Any], names: tuple[str, ...], classes: Any
) -> None:
    corpus = load(tmp_path, train, dev)
    assert corpus.task.label_names == names
    assert corpus.train.labels == classes


@pytest.mark.parametrize(
    ("same", "name"),
    [
        ((1, 1.0, "1", "1.0", " 1", "01", "+1", "1."), "1"),
        ((0, -0.0, "0", "-0", "0.0", "000"), "0"),
        ((-2, -2.0, "-2", "-02.0 "), "-2"),
        ((True, "true", "True", " TRUE"), "true"),
        ((False, "false", "False"), "false"),
        ((0.5, "0.5"), "0.5"),
        (("v1.0",), "v1.0"),
        (("9" * 5_000,), "9" * 5_000),
    ],
)
def test_label_has_one_name_however_it_is_written(same: tuple[Any, ...], name: str) -> None:
    assert {label_name(value) for value in same} == {name}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("values", [[1.0, 0.0], [1, 0], ["1.0", " 0"]], ids=repr)
def test_label_is_the_same_in_every_format(tmp_path: Path, suffix: str, values: list[Any]) -> None:
    path = tmp_path / f"own.{suffix}"
    table = pd.DataFrame({"text": ["a", "b"], "label": values})
    if suffix == "parquet":
        table.to_parquet(path)
    elif suffix == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="," if suffix == "csv" else "\t")
    corpus = load(tmp_path, ["0", 1], [], dev=path)
    assert corpus.dev["dev"].labels == (1, 0)
    named = {"text": "text", "text_pair": None, "label": "label"}
    assert load_labelled(path, label_names=("0", "1"), **named).labels == (1, 0)


@pytest.mark.parametrize(
    ("names", "labels", "classes"),
    [
        (("no", "yes"), ["yes", "no"], (1, 0)),
        (("no", "yes"), [1, 0], (1, 0)),
        (("1", "0"), ["0", "1", 0.0], (1, 0, 1)),
        (("1", "2"), [1, "1"], (0, 0)),
        (("1", "2"), [0, 1], (0, 1)),
        (("False", "True"), [True, "true"], (1, 1)),
    ],
    ids=["names", "numbers", "names_like_numbers", "one_of_them", "numbers_still", "truth"],
)
def test_labels_of_a_file_are_names_before_they_are_numbers(
    tmp_path: Path, names: tuple[str, ...], labels: list[Any], classes: tuple[int, ...]
) -> None:
    rows = [json.dumps({"text": str(row), "label": one}) for row, one in enumerate(labels)]
    (tmp_path / "one.jsonl").write_text("\n".join(rows))
    found = load_labelled(
        tmp_path / "one.jsonl", text="text", text_pair=None, label="label", label_names=names
    )
    assert found.labels == classes


def write_shared(folder: Path) -> dict[str, Path]:
    """Train and dev with two sentences in common, one of them with another label."""
    (folder / "train.tsv").write_text("text\tlabel\nA.\tx\nB.\ty\nC.\tz\nD.\tx\nE.\ty\n")
    (folder / "dev.tsv").write_text("text\tlabel\nE.\tx\nF.\ty\nC.\ty\n")
    return {"train": folder / "train.tsv", "dev": folder / "dev.tsv"}


def test_shared_texts_are_refused_with_what_to_do(tmp_path: Path) -> None:
    message = (
        "more than one split: 2, the first being 'C.' in .*train.tsv, line 4 and .*dev.tsv, line 4"
        ": data.shared_texts=drop takes them out of train, data.shared_texts=keep leaves"
    )
    with pytest.raises(CorpusError, match=message):
        load(tmp_path, [], [], **write_shared(tmp_path))


def test_shared_texts_are_dropped_from_train(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    corpus = load(tmp_path, [], [], **write_shared(tmp_path), shared_texts="drop")
    assert corpus.train.texts == ("A.", "B.", "D.")
    assert corpus.dev["dev"].texts == ("E.", "F.", "C.")
    assert corpus.task.label_names == ("x", "y")  # the only z is gone
    assert "train.tsv: 2 of 5 rows dropped, for their texts stand in dev too" in caplog.text


def test_nothing_is_said_of_dropped_rows_where_none_is_shared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files = write_shared(tmp_path)
    files["dev"].write_text("text\tlabel\nF.\tx\nG.\ty\n")
    corpus = load(tmp_path, [], [], **files, shared_texts="drop")
    assert len(corpus.train.texts) == 5
    assert "dropped" not in caplog.text


@pytest.mark.parametrize("shared_texts", ["refuse", "drop", "keep"])
def test_text_that_is_none_is_named_whatever_becomes_of_shared_ones(
    tmp_path: Path, shared_texts: str
) -> None:
    (tmp_path / "own.jsonl").write_text('{"text": ["a"], "label": 0}\n{"text": "b", "label": 1}')
    with pytest.raises(CorpusError, match=r"own.jsonl, line 1, .*must be text, but got \['a'\]"):
        load(tmp_path, [0, 1], [0], train=tmp_path / "own.jsonl", shared_texts=shared_texts)


def test_dropping_all_of_train_is_refused(tmp_path: Path) -> None:
    files = write_shared(tmp_path) | {"dev": tmp_path / "train.tsv"}
    with pytest.raises(CorpusError, match="must leave rows in train, but got texts of dev in all"):
        load(tmp_path, [], [], **files, shared_texts="drop")


def test_lines_are_the_files_own_after_a_drop(tmp_path: Path) -> None:
    files = write_shared(tmp_path)
    files["train"].write_text("text\tlabel\nC.\tx\nA.\tx\n \ty\n")
    with pytest.raises(CorpusError, match=r"empty texts: 1, the first in .*train.tsv, line 4"):
        load(tmp_path, [], [], **files, shared_texts="drop")


def test_pairs_are_shared_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,b,y\nA,B,0\nA,C,1\nD,E,3\n")
    (tmp_path / "dev.csv").write_text("a,b,y\nA,C,0\nD,F,1\n")
    files = {"train": tmp_path / "train.csv", "dev": tmp_path / "dev.csv"}
    columns = {"text": "a", "text_pair": "b", "label": "y", "regression": True}
    corpus = load(tmp_path, [], [], **files, **columns, shared_texts="drop")
    assert corpus.train.pairs == ("B", "E")


def test_shared_texts_are_kept_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = load(tmp_path, [], [], **write_shared(tmp_path), shared_texts="keep")
    assert corpus.train.texts == ("A.", "B.", "C.", "D.", "E.")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "more than one split: 2" in record.message and record.message.endswith("(kept)")


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
        ([0, 1], None, ("accuracy", "f1", "macro_f1", "matthews_correlation")),
        ([0, 1], "f1", ("f1", "accuracy", "macro_f1", "matthews_correlation")),
        ([0, 1, 2], None, ("accuracy", "macro_f1")),
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


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    there, gone, lost = (tmp_path / f"{name}.csv" for name in ("there", "gone", "lost"))
    there.write_text("text,label\nA.,x\nB.,y\n")
    with pytest.raises(CorpusError) as both:
        load(tmp_path, [], [], train=gone, dev=lost)
    assert str(both.value) == f"{gone} and {lost}: can't be read: No such file or directory"
    with pytest.raises(CorpusError) as one:
        load(tmp_path, [], [], train=there, dev=lost)
    assert str(one.value) == f"{lost}: can't be read: No such file or directory"
