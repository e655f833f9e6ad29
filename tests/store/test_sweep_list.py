"""The list of a sweep's runs grows, keeps, and is refused where it is not ours."""

from pathlib import Path

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.files import to_checked_json
from lora_sweep.store import sweep_list
from lora_sweep.store.record import FORMAT_VERSION, FailureRecord, PrunedRecord, RunRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.sweep_list import (
    add_to_sweep,
    count_runs,
    read_asked,
    read_commands,
    read_sweep,
)


def test_sweep_list_grows_and_keeps(tmp_path: Path) -> None:
    assert read_sweep(tmp_path) == {}
    add_to_sweep(tmp_path, {"a": {"seed": 0}, "b": {"seed": 1}}, "first")
    add_to_sweep(tmp_path, {"b": {"seed": 1}, "c": {"seed": 2}}, "second")
    add_to_sweep(tmp_path, {}, "first")
    assert read_commands(tmp_path) == ["second", "first"]
    assert read_sweep(tmp_path) == {"a": {"seed": 0}, "b": {"seed": 1}, "c": {"seed": 2}}


def test_each_command_has_its_own_runs(tmp_path: Path) -> None:
    assert read_asked(tmp_path) is None
    add_to_sweep(tmp_path, {"a": {"seed": 0}, "b": {"seed": 1}}, "first")
    add_to_sweep(tmp_path, {"c": {"seed": 2}, "b": {"seed": 1}}, "second")
    assert read_asked(tmp_path) == {"c": {"seed": 2}, "b": {"seed": 1}}
    assert list(read_asked(tmp_path, "first") or ()) == ["a", "b"]
    assert read_asked(tmp_path, "third") is None
    add_to_sweep(tmp_path, {"d": {"seed": 3}}, "first")  # its data have changed, say
    assert list(read_asked(tmp_path) or ()) == ["d"]


def test_command_can_take_over_earlier_runs(tmp_path: Path) -> None:
    add_to_sweep(tmp_path, {"a": {"seed": 0}, "b": {"seed": 1}}, "20 trials")
    add_to_sweep(tmp_path, {"c": {"seed": 2}}, "40 trials", earlier=["b", "nowhere"])
    assert list(read_asked(tmp_path) or ()) == ["b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "can't be read"),
        ("[]", "can't be read"),
        (to_checked_json({"runs": {}}), f"version {FORMAT_VERSION}, but got None"),
        (to_checked_json({"format_version": 1, "runs": 3}), "can't be read"),
        (
            to_checked_json({"format_version": 99, "runs": {}}),
            f"version {FORMAT_VERSION}, but got 99",
        ),
    ],
    ids=["cut", "list", "no_version", "no_runs", "other_version"],
)
def test_broken_sweep_list_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(RecordError, match=message):
        read_sweep(tmp_path)


def test_damaged_sweep_list_is_set_aside_and_starts_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_to_sweep(tmp_path, {"a": {"seed": 0}}, "first")
    path = tmp_path / "sweep.json"
    path.write_text(path.read_text().replace('"a"', '"x"'))
    with pytest.raises(RecordError, match="must be as it was written"):
        read_sweep(tmp_path)
    add_to_sweep(tmp_path, {"b": {"seed": 1}}, "second")
    assert read_sweep(tmp_path) == {"b": {"seed": 1}}
    assert "set aside as sweep.json.damaged" in caplog.text


def _finish(sweep_dir: Path, names: str, record: RunRecord) -> None:
    for name in names:
        (sweep_dir / name).mkdir()
        RunFolder(sweep_dir / name).finish(record)


def test_runs_that_are_done_are_counted(tmp_path: Path, record: RunRecord) -> None:
    names = ("done", "failed", "pruned", "missing")
    add_to_sweep(tmp_path, {name: {} for name in names}, "c")
    for name in ("done", "failed", "pruned", "not_listed"):
        RunFolder(tmp_path / name).start({}, "")
    RunFolder(tmp_path / "done").finish(record)
    RunFolder(tmp_path / "not_listed").finish(record)
    RunFolder(tmp_path / "failed").fail(FailureRecord({}, "why"))
    RunFolder(tmp_path / "pruned").prune(PrunedRecord({}, 1, 0.5, "why"))
    assert count_runs(tmp_path, ["missing"]) == (3, 4)


def test_runs_are_counted_for_the_command_that_asked_for_them(
    tmp_path: Path, record: RunRecord
) -> None:
    add_to_sweep(tmp_path, {key: {} for key in "abc"}, "first")
    _finish(tmp_path, "ab", record)
    add_to_sweep(tmp_path, {key: {} for key in "defg"}, "second")
    assert count_runs(tmp_path, ["d", "e"]) == (0, 4)
    _finish(tmp_path, "d", record)
    assert count_runs(tmp_path, ["e"]) == (1, 4)
    assert count_runs(tmp_path, ["c"]) == (2, 3)
    add_to_sweep(tmp_path, {key: {} for key in "cg"}, "third")
    assert count_runs(tmp_path, ["c"]) == (0, 2)  # of two commands the later one
    assert count_runs(tmp_path, ["c", "e"]) == (0, 2)  # nobody asked for both
    assert count_runs(tmp_path / "single", ["x"]) == (0, 1)


def test_count_follows_a_list_that_grows(tmp_path: Path, record: RunRecord) -> None:
    add_to_sweep(tmp_path, {"a": {}, "b": {}, "z": {}}, "c")
    assert count_runs(tmp_path, ["z"]) == (0, 3)
    for n_done, name in enumerate("ab", 1):
        _finish(tmp_path, name, record)
        assert count_runs(tmp_path, ["z"]) == (n_done, 3)
    add_to_sweep(tmp_path, {"c": {}}, "c", grows=True)
    assert count_runs(tmp_path, ["z"]) == (2, 4)


def test_counting_gives_up_after_many_misses(
    tmp_path: Path, record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_list, "MOST_LOOKS", 2)
    add_to_sweep(tmp_path, {name: {} for name in "abcde"}, "c")
    _finish(tmp_path, "ad", record)
    assert count_runs(tmp_path, ["b"]) == (1, 5)  # b and c are not done, so d is not looked at
