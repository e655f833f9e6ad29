"""Rows with texts -> the same rows with label and probabilities, a chunk at a time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.data.streams import StreamedRow, check_suffix, row_writer, stream_rows
from lora_sweep.data.tables import JSON_LINES
from lora_sweep.errors import CorpusError
from lora_sweep.files import write_whole
from lora_sweep.predict.files import check_target
from lora_sweep.spreadsheets import without_formula
from lora_sweep.trained.about import About
from lora_sweep.trained.classifier import Classifier, predict_texts

CHUNK = 1_024
"""Rows in memory at once. Texts of like length in them are computed together."""
PREDICTED, PROBABILITY = "predicted", "probability_"
N_DECIMALS = 6


class TextColumns(NamedTuple):
    """Columns of the texts; `pair` is None for single sentences."""

    text: str
    pair: str | None


def predict_file(
    classifier: Classifier, columns: TextColumns, *, source: Path, target: Path
) -> int:
    """Writes a file's rows with predictions, and returns how many there were.

    The rows keep their columns and get `predicted`, the label's name or the number, and one column
    `probability_LABEL` a class. In CSV and TSV a quote stands before text that a spreadsheet would
    take for a formula, and what a row lacks of the first one's columns is empty; JSON lines have
    rows as they are.

    Args:
        classifier: opened by `open_classifier`.
        columns: of the texts.
        source: CSV, TSV or JSON lines.
        target: likewise; appears whole, once all rows are done.

    Raises:
        CorpusError: a row can't be read or written; says where.
        StorageError: the target is there already, or can't be written.
    """
    check_target(target)
    n_rows = 0

    def write(path: Path) -> None:
        nonlocal n_rows
        rows = _predicted(classifier, columns, source)
        first = next(rows, None)
        if first is None:
            raise CorpusError(f"{source}: there are no rows")
        with path.open("w", encoding="utf-8", newline="") as stream:
            add = _row_writer(target, stream, list(first))
            add(first)
            n_rows = 1
            for row in rows:
                add(row)
                n_rows += 1

    write_whole(target, write)
    return n_rows


def _row_writer(
    path: Path, stream: IO[str], columns: Sequence[str]
) -> Callable[[Mapping[str, Any]], None]:
    """What writes a row; in files that spreadsheets open, no text is a formula."""
    if check_suffix(path) in JSON_LINES:
        return row_writer(path, stream, columns)
    names = {name: str(without_formula(name)) for name in columns}
    add = row_writer(path, stream, list(names.values()))

    def add_row(row: Mapping[str, Any]) -> None:
        more = next((name for name in row if name not in names), None)
        if more is not None:
            raise CorpusError(
                f"{path}: a row must have no column that the first one lacks, but got {more!r}: "
                "write JSON lines instead"
            )
        add({names[name]: without_formula(row.get(name)) for name in columns})

    return add_row


def _predicted(
    classifier: Classifier, columns: TextColumns, source: Path
) -> Iterator[dict[str, Any]]:
    added = _added_columns(classifier.about)
    needed = [columns.text, *([columns.pair] if columns.pair is not None else [])]
    for rows in _chunks(stream_rows(source, needed)):
        _check_names(source, rows, added)
        texts = _texts(source, rows, columns)
        yield from _with_predictions(classifier, rows, texts)


def _with_predictions(
    classifier: Classifier, rows: Sequence[StreamedRow], texts: LabelledTexts
) -> Iterator[dict[str, Any]]:
    names = classifier.about.label_names
    predicted = predict_texts(classifier, texts)
    if predicted.probabilities is None:
        for row, value in zip(rows, predicted.values.tolist(), strict=True):
            yield row.values | {PREDICTED: value}
        return
    shares = predicted.probabilities.round(N_DECIMALS).tolist()
    for row, label, own in zip(rows, predicted.values.tolist(), shares, strict=True):
        probabilities = {f"{PROBABILITY}{name}": p for name, p in zip(names, own, strict=True)}
        yield row.values | {PREDICTED: names[int(label)]} | probabilities


def _chunks(rows: Iterable[StreamedRow]) -> Iterator[list[StreamedRow]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _added_columns(about: About) -> list[str]:
    return [PREDICTED, *(f"{PROBABILITY}{name}" for name in about.label_names)]


def _check_names(source: Path, rows: Sequence[StreamedRow], added: Sequence[str]) -> None:
    for row in rows:
        taken = [name for name in added if name in row.values]
        if taken:
            raise CorpusError(
                f"{source}, line {row.line}: must have no column {taken[0]!r}, which the output "
                "adds: rename it"
            )


def _texts(source: Path, rows: Sequence[StreamedRow], columns: TextColumns) -> LabelledTexts:
    def column(name: str) -> tuple[str, ...]:
        return tuple(_text(source, row, name) for row in rows)

    pairs = None if columns.pair is None else column(columns.pair)
    return LabelledTexts(column(columns.text), pairs, (0,) * len(rows))


def _text(source: Path, row: StreamedRow, name: str) -> str:
    value = row.values[name]
    if not isinstance(value, str):
        raise CorpusError(
            f"{source}, line {row.line}, column {name!r}: must be text, but got {value!r}"
        )
    return value
