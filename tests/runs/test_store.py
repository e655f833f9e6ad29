"""Folders of sweeps and runs: nothing appears by halves, nothing stale stays."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.runs.record import (
    FORMAT_VERSION,
    FailureRecord,
    RunRecord,
    read_failure,
    read_result,
)
from lora_sweep.runs.store import (
    RunFolder,
    add_to_sweep,
    count_runs,
    is_done,
    read_commands,
    read_sweep,
)


def test_sweep_list_grows_and_keeps(tmp_path: Path) -> None:
    assert read_sweep(tmp_path) == {}
    add_to_sweep(tmp_path, {"a": {"seed": 0}, "b": {"seed": 1}}, "first")
    add_to_sweep(tmp_path, {"b": {"seed": 1}, "c": {"seed": 2}}, "second")
    add_to_sweep(tmp_path, {}, "first")
    assert read_commands(tmp_path) == ["first", "second"]
    assert read_sweep(tmp_path) == {"a": {"seed": 0}, "b": {"seed": 1}, "c": {"seed": 2}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "can't be read"),
        ("[]", "can't be read"),
        ('{"runs": {}}', f"version {FORMAT_VERSION}, but got None"),
        ('{"format_version": 1, "runs": 3}', "can't be read"),
        ('{"format_version": 99, "runs": {}}', f"version {FORMAT_VERSION}, but got 99"),
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


def test_finished_runs_are_counted(tmp_path: Path, record: RunRecord) -> None:
    add_to_sweep(tmp_path, {name: {} for name in ("done", "failed", "missing")}, "c")
    for name in ("done", "failed", "not_listed"):
        RunFolder(tmp_path / name).start({}, "")
    RunFolder(tmp_path / "done").finish(record)
    RunFolder(tmp_path / "not_listed").finish(record)
    RunFolder(tmp_path / "failed").fail(FailureRecord({}, "why"))
    assert count_runs(tmp_path) == (1, 3)


def test_finished_run_is_found_again(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path / "run")
    assert folder.finished(record.fingerprint) is None
    folder.start(record.settings, "")
    assert folder.finished(record.fingerprint) is None
    folder.finish(record)
    assert folder.finished(record.fingerprint) == record


def test_damaged_record_is_set_aside(
    tmp_path: Path, record: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path)
    folder.finish(record)
    path = tmp_path / "result.json"
    damaged = path.read_text().replace("0.7", "0.8")
    path.write_text(damaged)
    assert folder.finished(record.fingerprint) is None
    assert not path.exists()
    assert (tmp_path / "result.json.damaged").read_text() == damaged
    assert "set aside as result.json.damaged" in caplog.text


def test_run_of_another_fingerprint_is_refused(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path)
    folder.finish(replace(record, fingerprint="0" * 64))
    match = r"base model, corpus and code, but got one of another .* or finished=overwrite"
    with pytest.raises(RecordError, match=match):
        folder.finished(record.fingerprint)


def test_start_clears_what_an_older_run_left(tmp_path: Path, record: RunRecord) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start({"seed": 0}, "seed: 0\n")
    folder.add_history({"epoch": 1})
    folder.write("state.safetensors", lambda path: path.write_bytes(b"x"))
    folder.write("predictions.safetensors", lambda path: path.write_bytes(b"x"))
    folder.fail(FailureRecord({}, "why"))
    folder.finish(record)
    folder.start({"seed": 1}, "seed: 1\n")
    assert {file.name for file in folder.path.iterdir()} == {"settings.json", "config.yaml"}
    assert json.loads((folder.path / "settings.json").read_text()) == {"seed": 1}
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
