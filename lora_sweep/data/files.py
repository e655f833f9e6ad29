"""A user's own files -> a corpus: columns by name, labels to classes.

Class labels are numbered in the sorted order of train's labels, integers by their value. How
a file writes a label makes no other label of it: see `label_name`.
"""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lora_sweep.data.corpus import Corpus, LabelledTexts, check_corpus
from lora_sweep.data.tables import Table, read_table
from lora_sweep.data.tasks import Task
from lora_sweep.data.text_files import check_readable
from lora_sweep.errors import CorpusError, SettingError
from lora_sweep.metrics import fitting_metrics
from lora_sweep.vocabulary import SELECTION, TRAIN

log = logging.getLogger(__name__)

# Longer ones are texts: Python makes no number of thousands of digits.
_INTEGER = re.compile(r"-?[0-9]{1,300}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}(\.0*)?")


def load_files(  # noqa: PLR0913 - one setting of the group `data` each
    *,
    train: Path,
    dev: Mapping[str, Path] | Path,
    text: str,
    text_pair: str | None,
    label: str,
    regression: bool,
    metric: str | None,
    shared_texts: str = "refuse",
) -> Corpus:
    """Returns the corpus that stands in a user's files; all dev parts make up the headline.

    Args:
        train: training rows: CSV, TSV, JSON lines or Parquet, by suffix.
        dev: part name -> file, or one file, whose part is called `dev`.
        text: column of the sentence, or of the first one of a pair.
        text_pair: column of the second sentence; None for single sentences.
        label: column of the label.
        regression: True for labels that are real numbers, False for classes.
        metric: the headline metric; None for accuracy, or pearson for regression.
        shared_texts: what becomes of texts of train that stand in dev too: `refuse` them, `drop`
            them from train, or `keep` them; the last two are logged.

    Raises:
        SettingError: a metric that doesn't fit the labels; dev without parts, or part names that
            are taken.
        CorpusError: a file can't be read, or its rows break a rule; the message says where.
    """
    parts = {"dev": dev} if isinstance(dev, Path) else dict(dev)
    _check_parts(parts)
    columns = [column for column in (text, text_pair, label) if column is not None]
    files = {TRAIN: train, **parts}
    check_readable(files.values())
    tables = {name: read_table(path, columns) for name, path in files.items()}
    if shared_texts == "drop":
        tables[TRAIN] = _without_shared(tables, [c for c in (text, text_pair) if c is not None])
    names: tuple[str, ...] = () if regression else _label_names(tables[TRAIN], label)
    n_labels = 1 if regression else len(names)
    task = Task("files", text, text_pair, label, n_labels, names, _metrics(n_labels, metric))
    splits = {name: _split(table, task) for name, table in tables.items()}
    corpus = Corpus(task, splits.pop(TRAIN), splits, None, tuple(parts), files)
    return check_corpus(
        corpus,
        published=False,
        keeps_shared=shared_texts == "keep",
        place=lambda name, row: tables[name].place(row),
    )


def load_labelled(
    path: Path,
    *,
    text: str,
    text_pair: str | None,
    label: str,
    label_names: Sequence[str],
) -> LabelledTexts:
    """Returns the rows of one file, with labels as numbers of classes that are known.

    Args:
        path: CSV, TSV, JSON lines or Parquet, by suffix.
        text: column of the sentence, or of the first one of a pair.
        text_pair: column of the second sentence; None for single sentences.
        label: column of the label: names of classes, or their numbers.
        label_names: of class 0, 1, ...; empty for regression.

    Raises:
        CorpusError: the file can't be read, or a row breaks a rule; the message says where.
    """
    columns = [column for column in (text, text_pair, label) if column is not None]
    table = read_table(path, columns)
    names = tuple(map(label_name, label_names))
    if names:
        found = {_class_label(table, row, label) for row in range(len(table.numbers))}
        numbers = tuple(map(str, range(len(names))))
        # A name that looks like a number is a name: classes may be called 1 and 2.
        is_numbered = found <= set(numbers) and not found <= set(names)
        names = numbers if is_numbered else names
    task = Task("files", text, text_pair, label, len(names) or 1, names, ())
    return _split(table, task)


def _check_parts(parts: Mapping[str, Path]) -> None:
    if not parts:
        raise SettingError("dev must name at least one file, but got none")
    for name in parts:
        # Metrics of a part are called metric/part.
        if not name or "/" in name or name in (TRAIN, SELECTION):
            raise SettingError(
                f"a dev part's name must not be empty, 'train' or 'selection', nor hold '/', but "
                f"got {name!r}"
            )


def _without_shared(tables: Mapping[str, Table], columns: Sequence[str]) -> Table:
    """Returns train without the rows whose texts stand in a dev part too."""

    def texts(table: Table) -> list[tuple[str, ...]]:
        rows = range(len(table.numbers))
        return [tuple(_text(table, row, column) for column in columns) for row in rows]

    train = tables[TRAIN]
    of_dev = {text for name, table in tables.items() if name != TRAIN for text in texts(table)}
    kept = [row for row, text in enumerate(texts(train)) if text not in of_dev]
    n_rows = len(train.numbers)
    if not kept:
        raise CorpusError(
            f"{train.path}: data.shared_texts=drop must leave rows in train, but got texts of dev "
            f"in all {n_rows} rows"
        )
    n_dropped = n_rows - len(kept)
    if n_dropped:
        said = "%s: %d of %d rows dropped, for their texts stand in dev too"
        log.info(said, train.path, n_dropped, n_rows)
    return train.rows(kept)


def _metrics(n_labels: int, metric: str | None) -> tuple[str, ...]:
    """Returns the headline metric, then the others that fit."""
    known = fitting_metrics(n_labels)
    if metric is None:
        return known
    if metric not in known:
        kind = "regression" if n_labels == 1 else f"{n_labels} classes"
        raise SettingError(
            f"data.metric must be one of {', '.join(known)} for {kind}, but got {metric!r}"
        )
    return (metric, *(other for other in known if other != metric))


def _label_names(train: Table, column: str) -> tuple[str, ...]:
    found = {_class_label(train, row, column) for row in range(len(train.numbers))}
    if len(found) == 1:
        raise CorpusError(
            f"{train.path}: column {column!r} is {found.pop()!r} in every row: there is nothing "
            "to learn"
        )
    if all(_INTEGER.fullmatch(name) for name in found):
        return tuple(sorted(found, key=int))
    if any("." in name for name in found) and all(
        math.isfinite(_as_float(name)) for name in found
    ):
        raise CorpusError(
            f"{train.path}: column {column!r} holds real numbers, but classes are strings or "
            "integers (is this regression?)"
        )
    return tuple(sorted(found))


def _split(table: Table, task: Task) -> LabelledTexts:
    n_rows = len(table.numbers)
    texts = tuple(_text(table, row, task.text) for row in range(n_rows))
    pairs = None
    if task.text_pair is not None:
        pairs = tuple(_text(table, row, task.text_pair) for row in range(n_rows))
    if task.is_regression:
        numbers = tuple(_number(table, row, task.label) for row in range(n_rows))
        return LabelledTexts(texts, pairs, numbers)
    classes = {name: number for number, name in enumerate(task.label_names)}
    labels = []
    for row in range(n_rows):
        name = _class_label(table, row, task.label)
        if name not in classes:
            known = ", ".join(map(repr, task.label_names))
            fault = f"label {name!r} does not occur in train, which has {known}"
            raise _fault(table, row, task.label, fault)
        labels.append(classes[name])
    return LabelledTexts(texts, pairs, tuple(labels))


def _text(table: Table, row: int, column: str) -> str:
    value = table.columns[column][row]
    if not isinstance(value, str):
        raise _fault(table, row, column, f"must be text, but got {value!r}")
    return value


def _class_label(table: Table, row: int, column: str) -> str:
    value = table.columns[column][row]
    is_nan = isinstance(value, float) and math.isnan(value)
    if is_nan or not isinstance(value, str | int | float):
        raise _fault(table, row, column, f"must be a string or an integer, but got {value!r}")
    if not (name := label_name(value)):
        raise _fault(table, row, column, "the label is empty")
    return name


def label_name(value: str | float) -> str:
    """Returns the name of a class, the same however a file or a setting writes it.

    Whole numbers are one label whatever their type, zeros and blanks (1, 1.0, "1.0", " 01"), and
    so are truth values (True, "true", "TRUE"), which are other labels than 1 and 0.

    Args:
        value: as read; not NaN.
    """
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(int(text.partition(".")[0])) if _WHOLE.fullmatch(text) else text


def _number(table: Table, row: int, column: str) -> float:
    value = table.columns[column][row]
    # bool is an int to Python.
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    number = _as_float(value) if is_plain else math.nan
    if not math.isfinite(number):
        raise _fault(table, row, column, f"must be a finite number, but got {value!r}")
    return number


def _as_float(value: object) -> float:
    """Returns the value as a number, NaN where it is none."""
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _fault(table: Table, row: int, column: str, fault: str) -> CorpusError:
    return CorpusError(f"{table.place(row)}, column {column!r}: {fault}")
