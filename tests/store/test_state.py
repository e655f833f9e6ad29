"""What became of a run: one reader, one precedence."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lora_sweep.errors import DamagedRecordError
from lora_sweep.store.record import FailureRecord, PrunedRecord, RunRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.state import RunState, State, is_done, is_finished, read_state, settings_json

ENDS = {
    "result.json": State.FINISHED,
    "failure.json": State.FAILED,
    "pruned.json": State.PRUNED,
    "failure.json.retried": State.RETRIED,
}
"""In the order of their precedence."""


def _write_all(folder: Path, record: RunRecord) -> None:
    """Every record that a run can have, side by side."""
    name = folder.name
    failure = FailureRecord({"seed": 1}, "out of memory", name).to_json()
    folder.mkdir()
    (folder / "result.json").write_text(replace(record, name=name).to_json())
    (folder / "failure.json").write_text(failure)
    (folder / "pruned.json").write_text(
        PrunedRecord({"seed": 2}, 1, 0.5, "too slow", name).to_json()
    )
    (folder / "failure.json.retried").write_text(failure)
    (folder / "settings.json").write_text(settings_json(folder, {"seed": 3}))


def _read(folder: Path) -> RunState:
    found = read_state(folder)
    assert found is not None
    return found


def test_first_record_of_the_table_counts(tmp_path: Path, record: RunRecord) -> None:
    folder = tmp_path / "run"
    _write_all(folder, record)
    said = []
    for name in ENDS:
        said.append(_read(folder))
        (folder / name).unlink()
    assert [one.state for one in said] == list(ENDS.values())
    assert [one.reason for one in said] == ["", "out of memory", "too slow", "out of memory"]
    assert [one.settings["seed"] for one in said] == [0, 1, 2, 1]
    assert said[0].record == record
    assert (_read(folder).state, _read(folder).settings) == (State.OPEN, {"seed": 3})
    (folder / "settings.json").unlink()
    assert read_state(folder) is None


def test_only_three_records_end_a_run(tmp_path: Path, record: RunRecord) -> None:
    folder = tmp_path / "run"
    _write_all(folder, record)
    done, finished = [], []
    for name in ENDS:
        done.append(is_done(folder))
        finished.append(is_finished(folder))
        (folder / name).unlink()
    assert done == [True, True, True, False]
    assert finished == [True, False, False, False]


def test_run_that_was_asked_for_is_open_without_a_folder(tmp_path: Path) -> None:
    found = read_state(tmp_path / "run", {"seed": 4})
    assert found is not None
    assert (found.state, found.settings, found.has_begun) == (State.OPEN, {"seed": 4}, False)


@pytest.mark.parametrize("name", ENDS)
def test_damaged_record_counts_as_damaged(name: str, tmp_path: Path, record: RunRecord) -> None:
    folder = tmp_path / "run"
    _write_all(folder, record)
    for better in list(ENDS)[: list(ENDS).index(name)]:
        (folder / better).unlink()
    (folder / name).write_text("{")
    found = _read(folder)
    assert (found.state, found.settings, found.file) == (
        State.DAMAGED,
        {"seed": 3},
        folder / name,
    )
    assert isinstance(found.error, DamagedRecordError) and name in found.reason


def test_settings_that_cannot_be_read_are_damage(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    found = _read(tmp_path)
    assert (found.state, found.settings) == (State.DAMAGED, None)
    assert "settings.json can't be read" in found.reason


def test_what_became_is_the_same_for_resume_and_reader(tmp_path: Path, record: RunRecord) -> None:
    folder = tmp_path / "run"
    _write_all(folder, record)
    for name in ENDS:
        ended, found = RunFolder(folder).ended(record.fingerprint), _read(folder)
        is_over = found.state is not State.RETRIED
        assert (None if ended is None else ended.state) == (found.state if is_over else None)
        (folder / name).unlink()


def test_collapsed_is_said_of_finished_runs(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path)
    folder.fail(FailureRecord({}, "why"))
    assert not _read(tmp_path).is_collapsed
    fields = {**vars(record), "collapsed": True}
    folder.finish(RunRecord(**fields))
    assert _read(tmp_path).is_collapsed


@pytest.mark.parametrize("name", ENDS)
def test_record_of_another_run_counts_as_damaged(
    name: str, tmp_path: Path, record: RunRecord
) -> None:
    """As in a copied folder, which would be one more seed, or in two that were swapped."""
    _write_all(tmp_path / "run", record)
    for better in list(ENDS)[: list(ENDS).index(name)]:
        (tmp_path / "run" / better).unlink()
    (tmp_path / "run").rename(tmp_path / "copy")
    found = _read(tmp_path / "copy")
    assert (found.state, found.settings) == (State.DAMAGED, None)
    assert f"{name} must be of the run copy, but got that of run" in found.reason


def test_started_run_that_was_copied_is_none_of_its_own(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").start({"seed": 3}, "")
    (tmp_path / "run").rename(tmp_path / "copy")
    found = _read(tmp_path / "copy")
    assert (found.state, found.settings) == (State.DAMAGED, None)
    assert "settings.json must be of the run copy, but got that of run" in found.reason


@pytest.mark.parametrize("name", [*ENDS, "settings.json"])
def test_pipe_in_the_place_of_a_record_is_damage(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    found = _read(tmp_path)
    assert found.state is State.DAMAGED
    assert "must be a file, but got a pipe" in found.reason
