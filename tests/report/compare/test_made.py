"""How many seeds the last look of a resolve had."""

import os
from pathlib import Path

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.report.compare.made import MADE_FILE, read_made, write_made


def test_last_look_is_the_one_with_most_seeds(tmp_path: Path) -> None:
    assert read_made(tmp_path) == 0
    for n in (5, 8, 5):
        write_made(tmp_path, n)
    assert read_made(tmp_path) == 8


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_read(make: object, tmp_path: Path) -> None:
    make(tmp_path / MADE_FILE)  # type: ignore[operator]
    with pytest.raises(RecordError, match=r"resolve_looks\.json must be a file, but got a"):
        read_made(tmp_path)
