"""Local files -> named columns, with the line each row stands on.

| suffix | is read as |
| --- | --- |
| .csv | commas, double quotes around fields that need them, a header |
| .tsv | tabs, no quoting at all (a quote is a character), a header |
| .jsonl, .json, .ndjson | JSON lines: one object a line; .json also as one array of objects |
| .parquet | Parquet |

Any of them may be compressed by gzip, with `.gz` behind its suffix. Text is UTF-8, with or without
a byte-order mark. Nothing stands for a missing value: the word "null" is a text.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lora_sweep.data.text_files import numbered_lines, read_bytes, read_text, uncompressed
from lora_sweep.errors import CorpusError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".json", ".ndjson")
"""Suffixes of files with columns that are separated, and of those with an object a line."""
NAMING = "data.text=NAME, data.label=NAME; --text NAME for predictions"
"""How a command says what the columns of a file are called."""
_DELIMITER_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons"}


@dataclass(frozen=True)
class Table:
    """Columns of one file.

    Attributes:
        path: the file.
        numbers: number of each row, as `place` says it.
        columns: name -> values, text for CSV and TSV.
        unit: "line" (1 for a file's first, so 1 is the header's) or "row" (1 for the first one of
            Parquet and of a JSON array).
    """

    path: Path
    numbers: tuple[int, ...]
    columns: dict[str, tuple[object, ...]]
    unit: str = "line"

    def place(self, row: int) -> str:
        """Returns file and line of a row, 0 for the first."""
        return f"{self.path}, {self.unit} {self.numbers[row]}"

    def rows(self, which: Sequence[int]) -> "Table":
        """Returns the named rows, in that order.

        Args:
            which: row numbers, 0 for the first.
        """
        columns = {
            name: tuple(values[row] for row in which) for name, values in self.columns.items()
        }
        return replace(self, numbers=tuple(self.numbers[row] for row in which), columns=columns)


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Returns the named columns of a file.

    Args:
        path: a file whose suffix stands in the table above, in any case, with `.gz` or without.
        columns: those wanted; others are left out.

    Raises:
        CorpusError: no such file, another suffix, a column that is missing or there twice, text
            that is not UTF-8 or holds NUL, rows that don't fit the header, an empty file.
    """
    suffix = uncompressed(path).suffix
    reader = _READERS.get(suffix.lower())
    if reader is None:
        raise CorpusError(
            f"{path}: suffix must be one of {', '.join(_READERS)}, with .gz behind it or without, "
            f"but got {suffix!r}"
        )
    table = reader(path, tuple(dict.fromkeys(columns)))
    if not table.numbers:
        raise CorpusError(f"{path}: there are no rows")
    return table


def _read_separated(path: Path, columns: tuple[str, ...], delimiter: str) -> Table:
    text = read_text(path)
    # The limit is the whole process's: it only ever grows.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    rows_read = records(path, io.StringIO(text, newline=""), delimiter)
    _, header = next(rows_read)
    check_header(path, header, columns, delimiter)
    where = [header.index(column) for column in columns]
    numbers, rows = [], []
    for number, fields in rows_read:
        check_width(f"{path}, line {number}", fields, header)
        numbers.append(number)
        rows.append([fields[column] for column in where])
    return _table(path, columns, numbers, rows)


def records(path: Path, text: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields first line and fields of every record; a quoted field may hold line breaks.

    Args:
        path: of the file, for messages.
        text: its lines, with their line breaks as they are.
        delimiter: comma or tab.

    Raises:
        CorpusError: a record can't be read.
    """
    lines = csv.reader(
        text,
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    while True:
        number = lines.line_num + 1
        try:
            fields = next(lines, None)
        except csv.Error as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
        if fields is None:
            return
        if fields:
            yield number, fields


def check_header(path: Path, header: list[str], columns: tuple[str, ...], delimiter: str) -> None:
    """Raises a CorpusError if the header lacks a column, or is separated by something else."""
    for other, name in _DELIMITER_NAMES.items():
        if len(header) == 1 and other in header[0]:
            raise CorpusError(
                f"{path}, line 1: the columns seem to be separated by {name}, but a file of this "
                f"suffix is read with {_DELIMITER_NAMES[delimiter]}"
            )
    check_columns(f"{path}, line 1", header, columns)


def check_width(where: str, fields: Sequence[str], header: Sequence[str]) -> None:
    """Raises a CorpusError unless a record has as many fields as the header."""
    if len(fields) != len(header):
        raise CorpusError(f"{where}: {len(fields)} columns, but the header has {len(header)}")


def check_columns(where: str, there: Sequence[str], columns: tuple[str, ...]) -> None:
    """Raises a CorpusError unless every column is there once; names all that are missing."""
    listed = ", ".join(map(repr, there))
    if missing := [column for column in dict.fromkeys(columns) if column not in there]:
        kind = "column" if len(missing) == 1 else "columns"
        raise CorpusError(
            f"{where}: no {kind} {' and '.join(map(repr, missing))}; there are {listed}: say "
            f"which is meant ({NAMING}), or add it"
        )
    for column in columns:
        if (n_found := there.count(column)) > 1:
            raise CorpusError(
                f"{where}: {n_found} columns {column!r}; there are {listed}: rename all but one"
            )


def _read_json(path: Path, columns: tuple[str, ...]) -> Table:
    text = read_text(path)
    unit, entries = "line", _line_entries
    if is_array(path, text):
        unit, entries = "row", _array_entries
    numbers, rows = [], []
    for number, entry in entries(path, text):
        check_columns(f"{path}, {unit} {number}", list(entry), columns)
        numbers.append(number)
        rows.append([entry[column] for column in columns])
    return replace(_table(path, columns, numbers, rows), unit=unit)


def is_array(path: Path, text: str) -> bool:
    """Returns whether a file's text starts an array; JSON lines start with an object."""
    return uncompressed(path).suffix.lower() == ".json" and text.lstrip().startswith("[")


def _line_entries(path: Path, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in numbered_lines(text):
        if line.strip():
            yield number, json_object(f"{path}, line {number}", line)


def _array_entries(path: Path, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}: not one JSON array of objects: {error}") from error
    for number, entry in enumerate(entries, 1):
        yield number, _checked_object(f"{path}, row {number}", entry)


def json_object(where: str, line: str) -> dict[str, object]:
    """Returns the object in a line of JSON lines.

    Raises:
        CorpusError: there is none.
    """
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: not JSON lines, one object a line: {error}") from error
    return _checked_object(where, entry)


def _checked_object(where: str, entry: object) -> dict[str, object]:
    if not isinstance(entry, dict):
        raise CorpusError(f"{where}: must be an object, but got {type(entry).__name__}")
    return entry


def _read_parquet(path: Path, columns: tuple[str, ...]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not the path: pyarrow reads a file in threads, and they may abort a process that then ends.
    source = pa.BufferReader(read_bytes(path))
    try:
        check_columns(str(path), pq.read_schema(source).names, columns)
        content = pq.read_table(source, columns=list(columns))
    except pa.ArrowException as error:
        raise CorpusError(f"{path}: not a Parquet file that can be read: {error}") from error
    numbers = tuple(range(1, content.num_rows + 1))
    values = {column: tuple(content[column].to_pylist()) for column in columns}
    return Table(path, numbers, values, unit="row")


def _table(
    path: Path, columns: tuple[str, ...], numbers: list[int], rows: Sequence[Sequence[object]]
) -> Table:
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return Table(path, tuple(numbers), dict(zip(columns, values, strict=True)))


_READERS: dict[str, Callable[[Path, tuple[str, ...]], Table]] = {
    **{suffix: partial(_read_separated, delimiter=one) for suffix, one in DELIMITERS.items()},
    **dict.fromkeys(JSON_LINES, _read_json),
    ".parquet": _read_parquet,
}
