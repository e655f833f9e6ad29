"""Packs that are done are noted by a line each."""

from pathlib import Path

import pytest

from lora_sweep.store.finished_packs import FinishedPacks


def test_struck_packs_are_seen_by_all(tmp_path: Path) -> None:
    first, second = FinishedPacks(tmp_path), FinishedPacks(tmp_path)
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
    finished = FinishedPacks(tmp_path)
    finished.add("pack-000001")
    with (tmp_path / "finished.txt").open("ab") as stream:
        stream.write(line.encode("latin-1"))
    assert finished.names() == FinishedPacks(tmp_path).names() == {"pack-000001"}


def test_line_behind_a_cut_one_is_lost_and_the_next_is_not(tmp_path: Path) -> None:
    finished = FinishedPacks(tmp_path)
    (tmp_path / "finished.txt").write_text("pack-100000")
    assert finished.names() == set()
    finished.add("pack-000002")  # ends up in the cut line, and is noted once more later
    finished.add("pack-000003")
    assert finished.names() == {"pack-000003"}
