"""Packs that are over are struck out by a line each."""

from pathlib import Path

import pytest

from lora_sweep.store.finished_packs import Struck


def test_struck_packs_are_seen_by_all(tmp_path: Path) -> None:
    first, second = Struck(tmp_path), Struck(tmp_path)
    assert first.names() == set()
    first.add("pack-000001")
    assert second.names() == {"pack-000001"}
    second.add("pack-000007")
    assert first.names() == second.names() == {"pack-000001", "pack-000007"}


@pytest.mark.parametrize(
    "line",
    ["pack-100000", "pack-000003 00000000\n", "\n", "\xff\xfe\n", "pack-000004 \n"],
    ids=["cut", "flipped", "empty", "no_text", "no_checksum"],
)
def test_damaged_line_strikes_nothing_out(line: str, tmp_path: Path) -> None:
    struck = Struck(tmp_path)
    struck.add("pack-000001")
    with (tmp_path / "struck.txt").open("ab") as stream:
        stream.write(line.encode("latin-1"))
    assert struck.names() == Struck(tmp_path).names() == {"pack-000001"}


def test_line_behind_a_cut_one_is_lost_and_the_next_is_not(tmp_path: Path) -> None:
    struck = Struck(tmp_path)
    (tmp_path / "struck.txt").write_text("pack-100000")
    assert struck.names() == set()
    struck.add("pack-000002")  # ends up in the cut line, and is struck out once more later
    struck.add("pack-000003")
    assert struck.names() == {"pack-000003"}
