import functools
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lora_sweep.data.tables import read_table
from lora_sweep.data.text_files import read_text
from lora_sweep.errors import CorpusError

gzipped = functools.partial(gzip.compress, mtime=0)  # without the time, so always the same
ROWS = {"text": ("One, two.", 'A "quote".', "null"), "label": ("1", "0", "1")}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "a.json",
            '[{"text": "One, two.", "label": "1"}, {"label": "0", "text": "A \\"quote\\"."},\n'
            '{"text": "null", "label": "1"}]\n',
        ),
        (
            "a.csv.gz",
            gzipped(b'text,label\n"One, two.",1\n"A ""quote"".",0\nnull,1\n'),
        ),
        (
            "a.TSV.GZ",
            gzipped(b'text\tlabel\nOne, two.\t1\nA "quote".\t0\nnull\t1\n'),
        ),
        ("a.csv", 'id,text,label\n1,"One, two.",1\n2,"A ""quote"".",0\n3,null,1\n'),
        ("a.CSV", b'\xef\xbb\xbftext,label\r\n"One, two.",1\r\n"A ""quote"".",0\r\nnull,1'),
        ("a.tsv", 'label\ttext\n1\tOne, two.\n0\tA "quote".\n1\tnull'),
        (
            "a.jsonl",
            '{"text": "One, two.", "label": "1"}\n{"label": "0", "text": "A \\"quote\\"."}\n'
            '{"text": "null", "label": "1", "more": null}\n',
        ),
    ],
    ids=["json_array", "csv_gz", "tsv_gz", "csv", "csv_bom_crlf", "tsv", "jsonl"],
)
def test_formats_give_the_same_columns(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert read_table(write(tmp_path, name, content), ["text", "label"]).columns == ROWS


def test_parquet_keeps_types_and_counts_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1], "x": [0.5, None]}), path)
    table = read_table(path, ["text", "label"])
    assert table.columns == {"text": ("a", "b"), "label": (0, 1)}
    assert table.place(1) == f"{path}, row 2"


def test_parquet_is_read_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a path, pyarrow reads in threads that may abort a process that ends by an error."""
    path, sources = tmp_path / "a.parquet", []
    pq.write_table(pa.table({"text": ["a"]}), path)

    def seen(read: Callable[..., Any]) -> Callable[..., Any]:
        return lambda source, **options: (sources.append(source), read(source, **options))[1]

    for name in ("read_schema", "read_table"):
        monkeypatch.setattr(pq, name, seen(getattr(pq, name)))
    assert read_table(path, ["text"]).columns == {"text": ("a",)}
    assert [type(source) for source in sources] == [pa.BufferReader] * 2


def test_rows_of_an_array_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", '[\n\n{"text": "a"},\n\n{"text": "b"}]')
    assert read_table(path, ["text"]).place(1) == f"{path}, row 2"


def test_line_numbers_count_quoted_breaks_and_blanks(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"two\nlines",1\n\nlast,0\n')
    table = read_table(path, ["text", "label"])
    assert table.numbers == (2, 5)
    assert table.columns["text"] == ("two\nlines", "last")


def test_odd_line_separators_stay_in_the_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "a\u2028b\x85c"}\n')
    assert read_table(path, ["text"]).columns["text"] == ("a\u2028b\x85c",)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_very_long_line_is_read(tmp_path: Path, suffix: str) -> None:
    delimiter = "," if suffix == "csv" else "\t"
    path = write(tmp_path, f"a.{suffix}", f"text{delimiter}label\n{'a ' * 500_000}{delimiter}1\n")
    assert len(str(read_table(path, ["text"]).columns["text"][0])) == 1_000_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "x", r"suffix must be one of .csv, .tsv, .*'.txt'"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", "text,label\n", "there are no rows"),
        ("a.csv", "text,label\na,1\nb\n", "line 3: 1 columns, but the header has 2"),
        ("a.csv", "text,label\na,b,1\n", "line 2: 3 columns, but the header has 2"),
        ("a.csv", 'text,label\n"a,1\nb,0\n', "line 2: unexpected end of data"),
        ("a.csv", "text\tlabel\na\t1\n", "line 1: .* separated by tabs, .* with commas"),
        ("a.csv", "text;label\na;1\n", "line 1: .* separated by semicolons"),
        ("a.tsv", "text,label\na,1\n", "line 1: .* separated by commas, .* with tabs"),
        ("a.csv", "Text,label\na,1\n", "no column 'text'; there are 'Text', 'label'"),
        ("a.csv", "text,label,text\na,1,b\n", "2 columns 'text'"),
        ("a.csv", b"text,label\na,1\n\xe9,0\n", r"line 3: not UTF-8 \(byte 0xe9\)"),
        ("a.csv", "text,label\na\0,1\n", "line 2: holds NUL"),
        ("a.csv", "text,label\na,1\n".encode("utf-16"), "line 1: not UTF-8"),
        ("a.json", '{"text": "a", "label": 1}\n{"text": "a"}', "line 2: no column 'label'"),
        ("a.json", '{\n"text": "a", "label": 1}', "line 1: not JSON lines"),
        ("a.json", '[{"text": "a", "label": 1}\n', "not one JSON array of objects: .*line 2"),
        ("a.json", '["a"]\n', "row 1: must be an object, but got str"),
        ("a.json", '[{"text": "a", "label": 1}, {"text": "b"}]', "row 2: no column 'label'"),
        ("a.json", "[]", "there are no rows"),
        ("a.jsonl", '["a"]\n', "line 1: must be an object, but got list"),
        ("a.jsonl", '{"text": "a", "label": 1}\n["a"]', "line 2: must be an object, .* list"),
        ("a.csv.gz", "text,label\na,1\n", "not a gzip file that can be read: Not a gzipped"),
        (
            "a.csv.gz",
            gzipped(b"text,label\na,1\n")[:-9],
            "not a gzip file that can be",
        ),
        ("a.csv.gz", gzipped(b"text,label\na\n"), "a.csv.gz, line 2: 1 columns"),
        ("a.txt.gz", "x", r"suffix must be one of .csv, .* with .gz behind it .* got '.txt'"),
        ("a.csv.bz2", "x", r"suffix must be one of .csv, .* but got '.bz2'"),
        ("a.parquet", "text", "not a Parquet file"),
    ],
)
def test_broken_file_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read_table(write(tmp_path, name, content), ["text", "label"])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"gone.tsv: can't be read: No such file"):
        read_text(tmp_path / "gone.tsv")


def test_parquet_without_column_lists_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"words": ["a"]}), path)
    with pytest.raises(CorpusError, match="no column 'text'; there are 'words'"):
        read_table(path, ["text"])


def test_file_of_its_own_suffix_round_trips_json(tmp_path: Path) -> None:
    texts = ("tab\tand \\ and \N{SNOWMAN}", " spaces ")
    lines = "\n".join(json.dumps({"text": text}) for text in texts)
    assert read_table(write(tmp_path, "a.ndjson", lines), ["text"]).columns["text"] == texts
