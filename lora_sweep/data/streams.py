"""Files of rows, read and written a row at a time: CSV, TSV and JSON lines of any length.

They are read as `tables` reads them, but for JSON arrays, which can't be read a row at a time.
Values are kept as they are: text in CSV and TSV, whatever JSON has in JSON lines. What is written
is not compressed.
"""

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from lora_sweep.data.tables import (
    DELIMITERS,
    JSON_LINES,
    check_columns,
    check_header,
    check_width,
    is_array,
    json_object,
    records,
)
from lora_sweep.data.text_files import reading, uncompressed
from lora_sweep.errors import CorpusError

LONGEST_FIELD = 16_000_000
"""Characters of a CSV field: a quote that is never closed would take the whole file for one."""

SUFFIXES = (*DELIMITERS, *JSON_LINES)


class StreamedRow(NamedTuple):
    """One row of a file.

    Attributes:
        line: number of its first line, 1 for the file's first.
        values: column -> value.
    """

    line: int
    values: dict[str, Any]


def check_suffix(path: Path) -> str:
    """Returns a path's suffix in lower case.

    Raises:
        CorpusError: rows are neither read from nor written to such files.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise CorpusError(
            f"{path}: suffix must be one of {', '.join(SUFFIXES)}, but got {path.suffix!r}"
        )
    return suffix


def stream_rows(path: Path, columns: Sequence[str]) -> Iterator[StreamedRow]:
    """Yields the rows of a file with all their columns.

    Args:
        path: a file with one of `SUFFIXES`, with `.gz` behind it or without.
        columns: those that must be there.

    Raises:
        CorpusError: it can't be read, a row doesn't fit, or a column is missing; says where.
    """
    suffix = check_suffix(uncompressed(path))
    opened = open if path == uncompressed(path) else gzip.open
    # JSON lines end at "\n" alone; csv finds the ends of its records itself.
    newline = "\n" if suffix in JSON_LINES else ""
    try:
        with reading(path), opened(path, "rt", encoding="utf-8-sig", newline=newline) as stream:
            if suffix in JSON_LINES:
                yield from _json_rows(path, stream, tuple(columns))
            else:
                yield from _separated_rows(path, stream, tuple(columns), DELIMITERS[suffix])
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 ({error.reason})") from error


def row_writer(
    path: Path, stream: IO[str], columns: Sequence[str]
) -> Callable[[Mapping[str, Any]], None]:
    """Returns what writes a row; the header is written at once.

    Args:
        path: the file that is written, whose suffix says how.
        stream: opened with newline="".
        columns: of every row, in order; for JSON lines rows say themselves.

    Raises:
        CorpusError: (when called) a value holds a tab or a line break, and the file is a TSV,
            which has no way to write them.
    """
    suffix = check_suffix(path)
    if suffix in JSON_LINES:
        return lambda row: _write_json(stream, row)
    if suffix == ".csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        return lambda row: writer.writerow([row[name] for name in columns])
    stream.write(_tsv_line(path, columns))
    return lambda row: _write_line(stream, _tsv_line(path, [row[name] for name in columns]))


def _json_rows(
    path: Path, lines: Iterable[str], columns: tuple[str, ...]
) -> Iterator[StreamedRow]:
    is_first = True
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{path}, line {number}"
            if is_first and is_array(path, line):
                raise CorpusError(
                    f"{where}: a JSON array can't be read a row at a time: write JSON lines, one "
                    "object a line"
                )
            is_first = False
            entry = json_object(where, line)
            check_columns(where, list(entry), columns)
            yield StreamedRow(number, entry)


def _separated_rows(
    path: Path, lines: Iterable[str], columns: tuple[str, ...], delimiter: str
) -> Iterator[StreamedRow]:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    rows = records(path, lines, delimiter)
    _, header = next(rows, (0, None))
    if header is None:
        raise CorpusError(f"{path}: the file is empty")
    check_header(path, header, columns, delimiter)
    check_columns(f"{path}, line 1", header, tuple(header))
    for number, fields in rows:
        check_width(f"{path}, line {number}", fields, header)
        yield StreamedRow(number, dict(zip(header, fields, strict=True)))


def _write_json(stream: IO[str], row: Mapping[str, Any]) -> None:
    _write_line(stream, json.dumps(dict(row), ensure_ascii=False) + "\n")


def _write_line(stream: IO[str], line: str) -> None:
    stream.write(line)


def _tsv_line(path: Path, values: Sequence[Any]) -> str:
    texts = ["" if value is None else str(value) for value in values]
    for text in texts:
        if any(mark in text for mark in "\t\r\n"):
            raise CorpusError(
                f"{path}: a value of a TSV file must hold no tab or line break, but got "
                f"{text[:60]!r}: write CSV or JSON lines instead"
            )
    return "\t".join(texts) + "\n"
