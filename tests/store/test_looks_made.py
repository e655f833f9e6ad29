"""How many seeds the last look of a resolve had, and whether one is left."""

import os
from pathlib import Path

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.store.looks_made import MADE_FILE, Made, read_made, write_made


def test_last_look_is_the_one_with_most_seeds(tmp_path: Path) -> None:
    assert read_made(tmp_path) == Made(0, is_over=False)
    for n in (5, 8, 5):
        write_made(tmp_path, n, is_over=n == 8)
    assert read_made(tmp_path) == Made(8, is_over=True)


def test_last_look_may_turn_out_not_to_be_the_last(tmp_path: Path) -> None:
    write_made(tmp_path, 8, is_over=True)
    write_made(tmp_path, 8)
    assert read_made(tmp_path) == Made(8, is_over=False)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_read(make: object, tmp_path: Path) -> None:
    make(tmp_path / MADE_FILE)  # type: ignore[operator]
    with pytest.raises(RecordError, match=r"resolve_looks\.json must be a file, but got a"):
        read_made(tmp_path)


@pytest.mark.parametrize(
    "text", ['{"seeds": "x"}', '{"seeds": -1}', '{"seeds": true}', "{}x", "[1]"]
)
def test_what_is_no_number_of_seeds_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / MADE_FILE).write_text(text)
    with pytest.raises(RecordError, match=r"resolve_looks\.json can't be read: "):
        read_made(tmp_path)
