"""Folders of sweeps and runs: nothing appears by halves, nothing stale stays."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.store import run_folder, state
from lora_sweep.store.record import (
    FailureRecord,
    PrunedRecord,
    RunRecord,
    read_failure,
    read_result,
)
from lora_sweep.store.run_folder import RunFolder, read_command
from lora_sweep.store.state import State, is_done, read_settings


def test_finished_run_is_found_again(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path / "run")
    assert folder.ended(record.fingerprint) is None
    folder.start(record.settings, "")
    assert folder.ended(record.fingerprint) is None
    folder.finish(record)
    ended = folder.ended(record.fingerprint)
    assert ended is not None and ended.record == record


def test_damaged_record_is_set_aside(
    tmp_path: Path, record: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path)
    folder.finish(record)
    path = tmp_path / "result.json"
    damaged = path.read_text().replace("0.7", "0.8")
    path.write_text(damaged)
    assert folder.ended(record.fingerprint) is None
    assert not path.exists()
    assert (tmp_path / "result.json.damaged").read_text() == damaged
    assert "set aside as result.json.damaged" in caplog.text


@pytest.mark.parametrize("name", ["state.safetensors", "predictions.safetensors"])
@pytest.mark.parametrize("damage", ["flipped", "gone", "pipe"])
def test_run_with_a_damaged_file_trains_again(
    name: str, damage: str, tmp_path: Path, record: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(record.settings, "")
    for file in ("state.safetensors", "predictions.safetensors"):
        folder.write(file, lambda path: path.write_bytes(b"what it trained"))
    folder.finish(record)
    path = folder.path / name
    path.unlink()
    if damage == "flipped":
        path.write_bytes(b"what it trainee")
    elif damage == "pipe":
        os.mkfifo(path)
    assert folder.ended(record.fingerprint) is None
    assert not is_done(folder.path)
    assert name in caplog.text and "set aside as result.json.damaged" in caplog.text
    folder.start(record.settings, "")  # which clears away whatever lies there
    assert not os.path.lexists(path)


def test_record_of_another_folder_is_set_aside(
    tmp_path: Path, record: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    own, other = RunFolder(tmp_path / "own"), RunFolder(tmp_path / "other")
    for folder in (own, other):
        folder.start(record.settings, "")
        folder.finish(record)
    (other.path / "result.json").replace(own.path / "result.json")
    assert own.ended(record.fingerprint) is None
    assert "must be of the run own, but got that of other" in caplog.text


def test_log_in_whose_place_a_pipe_lies_is_made_anew(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.log")
    RunFolder(tmp_path).ready()
    assert not (tmp_path / "run.log").exists()


@pytest.mark.parametrize("damage", ["pipe", "folder", "bytes"])
def test_command_that_cannot_be_read_is_warned_of(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pipe would be waited for without end."""
    path = tmp_path / "command.txt"
    make = {"pipe": os.mkfifo, "folder": os.mkdir, "bytes": lambda at: at.write_bytes(b"\xff")}
    make[damage](path)
    assert read_command(tmp_path) is None
    assert f"the command of a run is not known: {path}" in caplog.text


def test_run_of_another_fingerprint_is_refused(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path)
    folder.finish(replace(record, fingerprint="0" * 64))
    match = r"base model, corpus and code, but got one of another .* or finished=overwrite"
    with pytest.raises(RecordError, match=match):
        folder.ended(record.fingerprint)


def test_pruned_run_is_done_until_it_is_asked_for_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.ready()
    folder.checkpoints.mkdir()
    record = PrunedRecord({"seed": 0}, 1, 0.5, "below the median")
    folder.prune(record)
    assert is_done(tmp_path)
    ended = folder.ended("any")
    assert ended is not None
    assert (ended.state, ended.settings, ended.reason) == (
        State.PRUNED,
        {"seed": 0},
        "below the median",
    )
    folder.reopen()
    assert not is_done(tmp_path)
    assert folder.ended("any") is None
    assert folder.checkpoints.exists()


def test_start_clears_what_an_older_run_left(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start({"seed": 0}, "seed: 0\n", "a command")
    assert read_command(folder.path) == "a command"
    folder.add_history({"epoch": 1})
    folder.write("state.safetensors", lambda path: path.write_bytes(b"x"))
    folder.write("predictions.safetensors", lambda path: path.write_bytes(b"x"))
    folder.fail(FailureRecord({}, "why"))
    folder.prune(PrunedRecord({}, 1, 0.5, "why"))
    folder.finish(record)
    folder.start({"seed": 1}, "seed: 1\n")
    assert {file.name for file in folder.path.iterdir()} == {"settings.json", "config.yaml"}
    assert read_settings(folder.path) == {"seed": 1}
    assert read_command(folder.path) is None
    assert (folder.path / "config.yaml").read_text() == "seed: 1\n"


def test_reopened_run_keeps_its_result_until_the_next(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start({"seed": 0}, "")
    folder.finish(record)
    folder.reopen()
    assert not is_done(folder.path)
    assert read_result(folder.path / "result.json.overwritten") == record
    folder.finish(record)
    assert is_done(folder.path)
    assert not (folder.path / "result.json.overwritten").exists()


def test_reopened_run_keeps_its_failure_until_it_ends_well(
    tmp_path: Path, record: RunRecord
) -> None:
    folder, before = RunFolder(tmp_path / "run"), tmp_path / "run" / "failure.json.retried"
    folder.start({"seed": 0}, "")
    folder.fail(FailureRecord({"seed": 0}, "out of memory"))
    folder.reopen()
    assert not is_done(folder.path)
    folder.start({"seed": 0}, "")
    assert read_failure(before).error == "out of memory"
    folder.fail(FailureRecord({"seed": 0}, "again"))
    assert read_failure(tmp_path / "run" / "failure.json").error == "again"
    folder.reopen()
    assert read_failure(before).error == "again"
    folder.finish(record)
    assert not before.exists()


@pytest.mark.parametrize(
    ("module", "look", "was_pruned"),
    [
        *((run_folder, "read_state", False), (run_folder, "read_state", True)),
        *((state, "read_failure", False), (state, "read_pruned", True)),
    ],
)
def test_run_that_is_reopened_during_a_look_has_no_outcome(
    module: Any, look: str, was_pruned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start({}, "")
    if was_pruned:
        folder.prune(PrunedRecord({}, 1, 0.5, "why"))
    else:
        folder.fail(FailureRecord({}, "why"))
    read = getattr(module, look)

    def read_late(path: Path) -> Any:
        folder.reopen()
        return read(path)

    monkeypatch.setattr(module, look, read_late)
    assert folder.ended("f") is None


def test_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "run").symlink_to(elsewhere)
    with pytest.raises(RecordError, match="must be a folder of its own, but got a link"):
        RunFolder(tmp_path / "run").start({"seed": 0}, "")
    assert not list(elsewhere.iterdir())


def test_files_that_are_links_are_not_followed(tmp_path: Path, record: RunRecord) -> None:
    folder, precious = RunFolder(tmp_path / "run"), tmp_path / "precious"
    folder.path.mkdir()
    precious.write_text("mine")
    for name in ("history.jsonl", "run.log", "result.json", "state.safetensors", "config.yaml"):
        (folder.path / name).symlink_to(precious)
    folder.start({"seed": 0}, "seed: 0")
    folder.add_history({"epoch": 1})
    folder.finish(record)
    assert precious.read_text() == "mine"
    assert not any(path.is_symlink() for path in folder.path.iterdir())


def test_history_is_rewritten_as_a_whole(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.add_history({"step": step})
    folder.rewrite_history([{"step": 1}])
    folder.add_history({"step": 2})
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1}, {"step": 2}]


def test_history_grows_by_lines(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for epoch in (1, 2):
        folder.add_history({"epoch": epoch})
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"epoch": 1}, {"epoch": 2}]


def test_failure_says_why(tmp_path: Path) -> None:
    failure = FailureRecord({"lr": None}, "loss became nan")
    RunFolder(tmp_path).fail(failure)
    assert read_failure(tmp_path / "failure.json") == failure
