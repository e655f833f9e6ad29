"""Packs are agreed once, kept until they are done, and forgotten then."""

from pathlib import Path

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.store import pack_list
from lora_sweep.store.pack_list import PackList
from lora_sweep.store.state import is_done


def agreed(folder: Path, names: str, size: int = 2) -> list[str]:
    """Members of all packs that hold these runs, each as one word."""
    packs = PackList(folder).agree(list(names), lambda new: size)
    return ["".join(members) for members in packs.values()]


def end(folder: Path, names: str) -> None:
    """These runs have finished."""
    for name in names:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "result.json").touch()


def delete(folder: Path, name: str) -> None:
    """Somebody has deleted the run."""
    (folder / name / "result.json").unlink()


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [(5, 2, ["ab", "cd", "e"]), (5, 4, ["abc", "de"]), (4, 9, ["abcd"]), (2, 1, ["a", "b"])],
)
def test_packs_are_of_like_size(n: int, size: int, expected: list[str], tmp_path: Path) -> None:
    assert agreed(tmp_path, "abcde"[:n], size) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [(4, ["abc", "def"]), (7, ["abcdef"]), (3, ["abc", "def"]), (2, ["ab", "cd", "ef"])],
    ids=["room for one cell", "for two", "just one", "too small for one"],
)
def test_seeds_of_a_cell_stay_together(size: int, expected: list[str], tmp_path: Path) -> None:
    packs = PackList(tmp_path).agree(list("abcdef"), lambda _: size, together=3)
    assert ["".join(members) for members in packs.values()] == expected


def test_another_process_finds_the_same_packs(tmp_path: Path) -> None:
    assert agreed(tmp_path, "abcd", 2) == ["ab", "cd"]
    assert agreed(tmp_path, "dcba", 3) == ["ab", "cd"]
    assert agreed(tmp_path, "be", 3) == ["ab", "e"]


def test_pack_stays_until_all_of_it_is_done(tmp_path: Path) -> None:
    agreed(tmp_path, "abcd")
    end(tmp_path, "acd")
    assert agreed(tmp_path, "abcd") == ["ab"]
    end(tmp_path, "b")
    assert agreed(tmp_path, "abcd") == []


def test_failed_run_is_reopened_once_its_pack_is_done(tmp_path: Path) -> None:
    packs = PackList(tmp_path)
    agreed(tmp_path, "abcd")
    end(tmp_path, "acd")  # and b was interrupted
    packs.reopen(list("abcd"))
    assert [name for name in "abcd" if is_done(tmp_path / name)] == ["a"]
    assert agreed(tmp_path, "abcd") == ["ab", "cd"]


def test_halves_replace_a_pack(tmp_path: Path) -> None:
    packs = PackList(tmp_path)
    agreed(tmp_path, "abcde", 5)
    end(tmp_path, "b")
    assert packs.holds("pack-000000")
    packs.split("pack-000000")
    assert not packs.holds("pack-000000")
    assert agreed(tmp_path, "abcde", 9) == ["ac", "de"]


@pytest.mark.parametrize(
    ("names", "together", "expected"),
    [
        ("abcdefghi", 3, ["abc", "def", "ghi"]),
        ("abcdefghijkl", 3, ["abcdef", "ghijkl"]),
        ("abcd", 3, ["ab", "cd"]),
    ],
    ids=["halves of a cell and a half", "of two cells", "too small for one"],
)
def test_seeds_of_a_cell_stay_together_in_halves(
    names: str, together: int, expected: list[str], tmp_path: Path
) -> None:
    packs = PackList(tmp_path)
    (pack,) = packs.agree(list(names), lambda _: len(names))
    packs.split(pack, together=together)
    assert agreed(tmp_path, names) == expected


def test_sweep_of_something_else_is_refused(tmp_path: Path) -> None:
    packs = PackList(tmp_path)
    packs.check_origins({"base model x": "1" * 64, "version of the code": "2"}, replace=False)
    packs.check_origins({"base model y": "3" * 64}, replace=False)
    with pytest.raises(RecordError, match="one base model x, but got one whose content has"):
        packs.check_origins({"base model x": "4" * 64}, replace=False)
    packs.check_origins({"base model x": "4" * 64}, replace=True)
    packs.check_origins({"base model x": "4" * 64}, replace=False)


def test_damaged_list_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agreed(tmp_path, "abcd", 2)
    path = tmp_path / ".packs" / "packs.json"
    path.write_text(path.read_text().replace('"a"', '"x"'))
    assert agreed(tmp_path, "abcd", 4) == ["abcd"]
    assert "set aside as packs.json.damaged, the packs are agreed anew" in caplog.text


def test_finished_pack_is_gone_and_the_list_unwritten(tmp_path: Path) -> None:
    packs, other = PackList(tmp_path), PackList(tmp_path)
    agreed(tmp_path, "abcd")
    written = (tmp_path / ".packs" / "packs.json").read_bytes()
    packs.finish("pack-000000")  # a and b are not done
    assert other.holds("pack-000000")
    end(tmp_path, "ab")
    packs.finish("pack-000000")
    assert not other.holds("pack-000000") and other.holds("pack-000001")
    assert set(other.finished()) == {"pack-000000"}
    assert (tmp_path / ".packs" / "packs.json").read_bytes() == written


def test_run_deleted_after_its_pack_was_finished_gets_a_new_one(tmp_path: Path) -> None:
    packs = PackList(tmp_path)
    agreed(tmp_path, "abcd")
    end(tmp_path, "ab")
    packs.finish("pack-000000")
    delete(tmp_path, "a")
    held = packs.agree(["a"], lambda new: 2)
    assert held == {"pack-000002": ["a"]}


def test_packs_agreed_anew_get_no_finished_name(tmp_path: Path) -> None:
    packs = PackList(tmp_path)
    agreed(tmp_path, "abcd")
    end(tmp_path, "cd")
    packs.finish("pack-000001")
    (tmp_path / ".packs" / "packs.json").write_text("{")
    assert packs.agree(["a", "b"], lambda new: 2) == {"pack-000002": ["a", "b"]}


def test_packs_of_many_runs_are_agreed_in_linear_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, asked = [f"run-{i}" for i in range(20_000)], []
    monkeypatch.setattr(pack_list, "is_done", asked.append)
    packs = PackList(tmp_path).agree(names, lambda new: 16)
    assert [name for members in packs.values() for name in members] == names
    assert len(asked) == len(names)  # one look a run; by the square it would take an hour
