"""Rows read and written one at a time: as whole tables are, in bounded memory."""

import functools
import gzip
import itertools
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_sweep.data.streams import row_writer, stream_rows
from lora_sweep.data.tables import read_table
from lora_sweep.errors import CorpusError

gzipped = functools.partial(gzip.compress, mtime=0)  # without the time, so always the same
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
FLAT = st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n\t"'), max_size=12)
ROWS = {".csv": TEXT, ".tsv": FLAT, ".jsonl": TEXT}


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        add = row_writer(path, stream, list(rows[0]))
        for row in rows:
            add(row)


@pytest.mark.parametrize("suffix", ROWS)
@given(drawn=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_rows_are_read_back(suffix: str, drawn: st.DataObject, tmp_path: Path) -> None:
    values = st.tuples(ROWS[suffix], ROWS[suffix])
    rows = [
        {"a": a, "b": f"x{b}"} for a, b in drawn.draw(st.lists(values, min_size=1, max_size=4))
    ]
    path = tmp_path / f"rows{suffix}"
    write(path, rows)
    assert [row.values for row in stream_rows(path, ["a"])] == rows
    table = read_table(path, ["a", "b"])
    assert list(table.columns["a"]) == [row["a"] for row in rows]
    assert list(table.numbers) == [row.line for row in stream_rows(path, ["a"])]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\ncat\n", r"line 2: 1 columns, but the header has 2"),
        ("a.csv", b"", r"the file is empty"),
        ("a.csv", b"text,text\na,b\n", r"line 1: 2 columns 'text'"),
        ("a.csv", b"other\ncat\n", r"line 1: no column 'text'; there are 'other'"),
        ("a.tsv", b"text,label\ncat,1\n", r"seem to be separated by commas"),
        ("a.csv", b"text\n\xff\n", r"not UTF-8"),
        ("a.jsonl", b'{"text": "cat"}\n[1]\n', r"line 2: must be an object, but got list"),
        ("a.jsonl", b'{"text": "cat"}\n{"x": 1}\n', r"line 2: no column 'text'"),
        ("a.json", b'\n[{"text": "cat"}]', r"line 2: a JSON array can't be read a row at a time"),
        ("a.csv.gz", b"text\ncat\n", r"not a gzip file that can be read"),
        (
            "a.csv.gz",
            gzipped(b"text\n" + b"cat\n" * 9)[:-9],
            r"not a gzip file that can",
        ),
        ("a.txt", b"cat", r"suffix must be one of \.csv, .*but got '\.txt'"),
    ],
)
def test_faults_are_named_with_their_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        list(stream_rows(tmp_path / name, ["text"]))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.csv: can't be read: No such file"):
        list(stream_rows(tmp_path / "none.csv", ["text"]))


def test_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftext\ncat\n")
    assert [row.values for row in stream_rows(tmp_path / "a.csv", ["text"])] == [{"text": "cat"}]


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv.gz", "text\ncat\n"), ("a.jsonl.GZ", '{"text": "cat"}')]
)
def test_compressed_rows_are_read(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzipped(content.encode()))
    assert [row.values for row in stream_rows(tmp_path / name, ["text"])] == [{"text": "cat"}]


def test_compressed_rows_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"suffix must be one of \.csv, .* but got '\.gz'"):
        write(tmp_path / "a.csv.gz", [{"a": "cat"}])


@pytest.mark.parametrize("mark", ["\t", "\n"])
def test_tsv_refuses_what_it_can_not_hold(mark: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="must hold no tab or line break"):
        write(tmp_path / "a.tsv", [{"a": f"cat{mark}dog"}])


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_long_file_takes_little_memory(name: str, tmp_path: Path) -> None:
    path, text = tmp_path / name, "word " * 20
    line = json.dumps({"text": text}) if name == "a.jsonl" else text
    head = "" if name == "a.jsonl" else "text\n"
    path.write_text(head + f"{line}\n" * 20_000)  # 2 MB
    tracemalloc.start()
    n_rows = sum(1 for _ in stream_rows(path, ["text"]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_rows == 20_000
    assert peak < 400_000


def test_rows_come_before_the_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\ncat\ndog\nx,y\n")  # the last one is broken
    rows = stream_rows(path, ["text"])
    assert [row.values["text"] for row in itertools.islice(rows, 2)] == ["cat", "dog"]
    with pytest.raises(CorpusError, match="line 4"):
        next(rows)
