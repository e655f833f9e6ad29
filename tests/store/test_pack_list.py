"""Packs are agreed once, kept until they are done, and forgotten then."""

from pathlib import Path

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.store.pack_list import SweepPacks


class Runs:
    """Which runs are done, as their folders would say it."""

    def __init__(self) -> None:
        self.done: set[str] = set()

    def is_done(self, name: str) -> bool:
        return name in self.done

    def clear(self, name: str) -> None:
        self.done.discard(name)


def agreed(folder: Path, names: str, runs: Runs, size: int = 2) -> list[str]:
    """Members of all packs that hold these runs, each as one word."""
    packs = SweepPacks(folder).agree(list(names), runs.is_done, lambda new: size)
    return ["".join(members) for members in packs.values()]


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [(5, 2, ["ab", "cd", "e"]), (5, 4, ["abc", "de"]), (4, 9, ["abcd"]), (2, 1, ["a", "b"])],
)
def test_packs_are_of_like_size(n: int, size: int, expected: list[str], tmp_path: Path) -> None:
    assert agreed(tmp_path, "abcde"[:n], Runs(), size) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [(4, ["abc", "def"]), (7, ["abcdef"]), (3, ["abc", "def"]), (2, ["ab", "cd", "ef"])],
    ids=["room for one cell", "for two", "just one", "too small for one"],
)
def test_seeds_of_a_cell_stay_together(size: int, expected: list[str], tmp_path: Path) -> None:
    packs = SweepPacks(tmp_path).agree(list("abcdef"), Runs().is_done, lambda _: size, together=3)
    assert ["".join(members) for members in packs.values()] == expected


def test_another_process_finds_the_same_packs(tmp_path: Path) -> None:
    runs = Runs()
    assert agreed(tmp_path, "abcd", runs, 2) == ["ab", "cd"]
    assert agreed(tmp_path, "dcba", runs, 3) == ["ab", "cd"]
    assert agreed(tmp_path, "be", runs, 3) == ["ab", "e"]


def test_pack_stays_until_all_of_it_is_done(tmp_path: Path) -> None:
    runs = Runs()
    agreed(tmp_path, "abcd", runs)
    runs.done = {"a", "c", "d"}
    assert agreed(tmp_path, "abcd", runs) == ["ab"]
    runs.done = {"a", "b", "c", "d"}
    assert agreed(tmp_path, "abcd", runs) == []


def test_failed_run_is_reopened_once_its_pack_is_done(tmp_path: Path) -> None:
    runs, packs = Runs(), SweepPacks(tmp_path)
    agreed(tmp_path, "abcd", runs)
    runs.done = {"a", "c", "d"}  # a and c have failed, say, and b was interrupted
    packs.reopen(list("abcd"), runs.is_done, runs.clear)
    assert runs.done == {"a"}
    assert agreed(tmp_path, "abcd", runs) == ["ab", "cd"]


def test_halves_replace_a_pack(tmp_path: Path) -> None:
    runs, packs = Runs(), SweepPacks(tmp_path)
    agreed(tmp_path, "abcde", runs, 5)
    runs.done = {"b"}
    assert packs.holds("pack-000000")
    packs.split("pack-000000", runs.is_done)
    assert not packs.holds("pack-000000")
    assert agreed(tmp_path, "abcde", runs, 9) == ["ac", "de"]


def test_sweep_of_something_else_is_refused(tmp_path: Path) -> None:
    packs = SweepPacks(tmp_path)
    packs.check_origins({"base model x": "1" * 64, "version of the code": "2"}, replace=False)
    packs.check_origins({"base model y": "3" * 64}, replace=False)
    with pytest.raises(RecordError, match="one base model x, but got one whose content has"):
        packs.check_origins({"base model x": "4" * 64}, replace=False)
    packs.check_origins({"base model x": "4" * 64}, replace=True)
    packs.check_origins({"base model x": "4" * 64}, replace=False)


def test_damaged_book_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agreed(tmp_path, "abcd", Runs(), 2)
    path = tmp_path / ".packs" / "packs.json"
    path.write_text(path.read_text().replace('"a"', '"x"'))
    assert agreed(tmp_path, "abcd", Runs(), 4) == ["abcd"]
    assert "set aside as packs.json.damaged, the packs are agreed anew" in caplog.text


def test_struck_pack_is_gone_and_the_list_unwritten(tmp_path: Path) -> None:
    runs, packs, other = Runs(), SweepPacks(tmp_path), SweepPacks(tmp_path)
    agreed(tmp_path, "abcd", runs)
    written = (tmp_path / ".packs" / "packs.json").read_bytes()
    packs.drop_done("pack-000000", runs.is_done)  # a and b are not done
    assert other.holds("pack-000000")
    runs.done = {"a", "b"}
    packs.drop_done("pack-000000", runs.is_done)
    assert not other.holds("pack-000000") and other.holds("pack-000001")
    assert set(other.over()) == {"pack-000000"}
    assert (tmp_path / ".packs" / "packs.json").read_bytes() == written


def test_run_deleted_after_its_pack_was_struck_gets_a_new_one(tmp_path: Path) -> None:
    runs, packs = Runs(), SweepPacks(tmp_path)
    agreed(tmp_path, "abcd", runs)
    runs.done = {"a", "b"}
    packs.drop_done("pack-000000", runs.is_done)
    runs.done = {"b"}
    held = packs.agree(["a"], runs.is_done, lambda new: 2)
    assert held == {"pack-000002": ["a"]}


def test_packs_agreed_anew_get_no_struck_name(tmp_path: Path) -> None:
    runs, packs = Runs(), SweepPacks(tmp_path)
    agreed(tmp_path, "abcd", runs)
    runs.done = {"c", "d"}
    packs.drop_done("pack-000001", runs.is_done)
    (tmp_path / ".packs" / "packs.json").write_text("{")
    assert packs.agree(["a", "b"], runs.is_done, lambda new: 2) == {"pack-000002": ["a", "b"]}


def test_packs_of_many_runs_are_agreed_in_linear_time(tmp_path: Path) -> None:
    names, asked = [f"run-{i}" for i in range(20_000)], []

    def is_done(name: str) -> bool:
        asked.append(name)
        return False

    packs = SweepPacks(tmp_path).agree(names, is_done, lambda new: 16)
    assert [name for members in packs.values() for name in members] == names
    assert len(asked) == len(names)  # one look a run; by the square it would take an hour
