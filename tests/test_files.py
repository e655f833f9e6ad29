"""Files that appear whole or not at all, and damage that is found out."""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.errors import DamagedFileError, StorageError
from lora_sweep.files import (
    clear_unfinished,
    digest_of,
    new_folder,
    read_checked_json,
    read_text,
    remove,
    set_aside,
    to_checked_json,
    write_text,
    write_whole,
)
from lora_sweep.tensor_files import kept_tensors, read_tensors, write_tensors

NOBODY = 65534
TENSORS = {
    "a": torch.arange(6.0).view(2, 3),
    "b": torch.tensor([True, False]),
    "c": torch.zeros(0, dtype=torch.bfloat16),
    "d": torch.tensor(3, dtype=torch.int64),
}


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder of a user whom permissions bind: root becomes another one for as long."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        if user == 0:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("before", [None, "old"], ids=["new", "replaced"])
def test_write_that_fails_leaves_nothing_partial(before: str | None, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    if before is not None:
        path.write_text(before)

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        write_whole(path, write)
    assert [file.name for file in tmp_path.iterdir()] == ([] if before is None else ["file.txt"])
    assert before is None or path.read_text() == before


def test_write_replaces_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for text in ("first", "second ä"):
        write_text(path, text)
    assert path.read_text(encoding="utf-8") == "second ä"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_told_in_words(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"file.txt can't be written: No space left on device"):
        write_whole(tmp_path / "file.txt", write)
    with pytest.raises(StorageError, match="No such file or directory"):
        write_text(tmp_path / "missing" / "file.txt", "")


def test_new_files_have_the_users_permissions(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "")
    (tmp_path / "plain").write_text("")
    modes = {name: (tmp_path / name).stat().st_mode for name in ("ours", "plain")}
    assert modes["ours"] == modes["plain"]


@pytest.mark.parametrize("indent", [None, 1])
def test_json_comes_back(indent: int | None, tmp_path: Path) -> None:
    fields = {"a": [1, 2.5, None], "b": {"ä": "x"}}
    path = tmp_path / "x.json"
    path.write_text(to_checked_json(fields, indent))
    assert read_checked_json(path) == fields


def test_json_without_its_checksum_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": 1}))
    with pytest.raises(DamagedFileError, match="must have a checksum, but got none"):
        read_checked_json(path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
@pytest.mark.parametrize("read", [read_checked_json, read_tensors, digest_of, read_text])
def test_what_is_no_file_is_refused_without_waiting(
    read: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    make_special(path, kind)
    with pytest.raises(DamagedFileError, match=r"x(.* )?must be a file, but got a"):
        read(path)
    set_aside(path, "it is none", "it is made anew")
    assert not os.path.lexists(path)


def make_special(path: Path, kind: str) -> None:
    """Something that is no file: a pipe that nobody writes to, a device without an end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


def test_tensors_come_back(tmp_path: Path) -> None:
    path, again = tmp_path / "x.safetensors", tmp_path / "again.safetensors"
    for file in (path, again):
        write_tensors(file, TENSORS, {"epoch": "3", "b": "ä"})
    tensors, about = read_tensors(path)
    assert about == {"epoch": "3", "b": "ä"}
    assert tensors.keys() == TENSORS.keys()
    for name, part in TENSORS.items():
        assert tensors[name].dtype == part.dtype and torch.equal(tensors[name], part)
    assert path.read_bytes() == again.read_bytes()


def test_tensors_that_may_not_be_read_are_not_called_damaged(own_folder: Path) -> None:
    path = own_folder / "x.safetensors"
    write_tensors(path, TENSORS, {})
    path.chmod(0o000)
    with pytest.raises(PermissionError, match=r"x\.safetensors"):
        read_tensors(path)
    with pytest.raises(PermissionError, match=r"x\.safetensors"):
        kept_tensors(path, lambda: TENSORS, consequence="it is made anew")
    assert list(own_folder.iterdir()) == [path]  # neither set aside nor made anew
    path.chmod(0o400)
    assert read_tensors(path)[0].keys() == TENSORS.keys()


def test_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    for attempt, error in (("full", OSError(errno.ENOSPC, "No space")), ("wrong", KeyError())):
        with pytest.raises((StorageError, KeyError)), new_folder("--out", tmp_path / attempt) as a:
            (a / "half.txt").write_text("half")
            raise error
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    for name in ("empty", "deep/er"):
        with new_folder("--out", tmp_path / name) as inside:
            (inside / "a.txt").write_text("whole")
        assert [path.name for path in (tmp_path / name).iterdir()] == ["a.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "empty"]


def test_new_folder_where_nothing_may_be_written(own_folder: Path) -> None:
    own_folder.chmod(0o500)
    told = pytest.raises(StorageError, match=r"out can't be written: Permission denied")
    with told, new_folder("--out", own_folder / "out"):
        pass


@given(data=st.data())
def test_any_damage_to_a_file_is_found(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "x"
    is_json = data.draw(st.booleans(), "is_json")
    if is_json:
        path.write_text(to_checked_json({"a": 1, "b": ["x", 2.0]}))
    else:
        write_tensors(path, TENSORS, {"epoch": "3"})
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1), "place")
    if data.draw(st.booleans(), "is_cut"):
        del content[place:]
    else:
        content[place] ^= 1 << data.draw(st.integers(0, 7), "bit")
    path.write_bytes(content)
    try:
        after = read_checked_json(path) if is_json else read_tensors(path)
    except DamagedFileError as error:
        assert str(path) in str(error)
        return
    if is_json:
        assert after == {"a": 1, "b": ["x", 2.0]}
    else:  # padding of the header says nothing
        assert after[1] == {"epoch": "3"}
        assert all(torch.equal(after[0][name], part) for name, part in TENSORS.items())


def test_only_old_leftovers_are_cleared(tmp_path: Path) -> None:
    for name in (".writing-old", ".writing-new", "kept"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".writing-old", (0, 0))
    clear_unfinished(tmp_path, older_than=3600)
    assert {path.name for path in tmp_path.iterdir()} == {".writing-new", "kept"}
    clear_unfinished(tmp_path)
    clear_unfinished(tmp_path / "missing")
    assert {path.name for path in tmp_path.iterdir()} == {"kept"}


def test_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.json"
    path.write_text("half")
    set_aside(path, f"{path} is cut", "it is made anew")
    assert not path.exists()
    assert (tmp_path / "x.json.damaged").read_text() == "half"
    assert "is cut; it is set aside as x.json.damaged, it is made anew" in caplog.text


def test_folder_that_another_removes_too_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        (folder / name).touch()
    own, others = os.unlink, ["a", "b", "c"]

    def unlink(path: str, **where: int) -> None:
        if others:  # the other process takes the same file a moment before
            own(folder / others.pop(others.index(path)))
        own(path, **where)

    monkeypatch.setattr(os, "unlink", unlink)
    remove(folder)
    assert not folder.exists() and not others


def test_what_another_finishes_while_leftovers_are_looked_for_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".writing-left"
    left.mkdir()
    found = [tmp_path / ".writing-finished", left]  # the first is no longer there
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(found))
    clear_unfinished(tmp_path)
    assert not left.exists()
