"""What the folders of a sweep say of its runs, and that nothing is read twice."""

import os
import shutil
from typing import Any

import pytest

from lora_sweep.errors import LoraSweepError, RecordError
from lora_sweep.status.folders import SETTLED_SECONDS, Run, SweepFolder
from lora_sweep.status.summary import sweep_status
from lora_sweep.store import state
from lora_sweep.store.state import State


def look(sweep: Any) -> dict[str, Run]:
    return {run.name: run for run in SweepFolder(sweep.path).look()}


def test_states_are_those_of_the_folders(sweep: Any) -> None:
    asked = {name: sweep.settings(seed=seed) for seed, name in enumerate("abcdef")}
    sweep.ask_for(asked)
    sweep.finish("a", 0.7, asked["a"], collapsed=True)
    sweep.fail("b", asked["b"], "loss became nan")
    sweep.prune("c", asked["c"])
    sweep.start("d", asked["d"])
    sweep.checkpoint("d", epoch=1, step=10, seconds=5)
    sweep.write("e", "result.json", "{")
    runs = look(sweep)
    assert [runs[name].state for name in "abcdef"] == [
        *(State.FINISHED, State.FAILED, State.PRUNED),
        *(State.OPEN, State.DAMAGED, State.OPEN),
    ]
    assert (runs["a"].value, runs["a"].collapsed, runs["b"].reason) == (
        0.7,
        True,
        "loss became nan",
    )
    assert [runs[name].has_begun for name in "df"] == [True, False]
    assert "result.json" in runs["e"].reason
    assert len({run.cell for run in runs.values()}) == 1


def test_runs_that_nobody_lists_are_found(sweep: Any) -> None:
    sweep.finish("a", 0.7, sweep.settings())
    sweep.start("b", sweep.settings(lr=0.2))
    sweep.write("figures", "x.svg", "")
    sweep.write(".packs", "packs.json", "")
    runs = look(sweep)
    assert set(runs) == {"a", "b"}
    assert runs["a"].cell != runs["b"].cell


def test_only_what_changed_is_read_again(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        sweep.finish(name, 0.5, sweep.settings())
        sweep.age(name, SETTLED_SECONDS + 60)
    read: list[str] = []
    original = state.read_result

    def counting(path: Any) -> Any:
        read.append(path.parent.name)
        return original(path)

    monkeypatch.setattr(state, "read_result", counting)
    folder = SweepFolder(sweep.path)
    for _ in range(2):
        folder.look()
    assert sorted(read) == ["a", "b", "c"]
    sweep.write("b", "failure.json", "")
    sweep.finish("b", 0.9, sweep.settings())
    values = {run.name: run.value for run in folder.look()}
    assert sorted(read) == ["a", "b", "b", "c"]
    assert values == {"a": 0.5, "b": 0.9, "c": 0.5}


def test_folder_that_just_changed_is_looked_at_again(sweep: Any) -> None:
    """A second change may fall into the same tick of the file system's clock."""
    folder = SweepFolder(sweep.path)
    path = sweep.start("a", sweep.settings())
    changed = path.stat().st_mtime_ns
    assert [run.state for run in folder.look()] == [State.OPEN]
    sweep.finish("a", 0.5, sweep.settings())
    os.utime(path, ns=(changed, changed))
    assert [run.state for run in folder.look()] == [State.FINISHED]


def test_runs_asked_for_later_are_seen(sweep: Any) -> None:
    sweep.ask_for({"a": sweep.settings()})
    folder = SweepFolder(sweep.path)
    assert [run.name for run in folder.look()] == ["a"]
    sweep.ask_for({"a": sweep.settings(), "b": sweep.settings(seed=1)})
    sweep.age("sweep.json", -5)
    assert [run.name for run in folder.look()] == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, "must be a sweep's folder, but got nothing there"),
        ("demo", "must be a sweep's folder, but got a file"),
        ("demo/x.txt", "must hold a sweep, that is sweep.json or run folders, but got a folder"),
        ("demo/result.json", "the folder of a single run: give the one it lies in"),
    ],
    ids=["nothing", "file", "no_sweep", "run"],
)
def test_what_is_no_sweep_is_refused(file: str | None, message: str, tmp_path: Any) -> None:
    if file is not None:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    with pytest.raises(LoraSweepError, match=message):
        SweepFolder(tmp_path / "demo").look()


def test_damaged_list_of_runs_is_told(sweep: Any) -> None:
    sweep.write("", "sweep.json", "{")
    with pytest.raises(RecordError, match=r"sweep\.json can't be read"):
        SweepFolder(sweep.path).look()


@pytest.mark.parametrize("end", ["finished", "started"])
def test_copied_folder_is_named_and_nobody_waits_for_it(end: str, sweep: Any) -> None:
    """No command trains a folder of that name, so it would be left for ever."""
    sweep.finish("a", 0.7, sweep.settings())
    path = sweep.finish("b", 0.8, sweep.settings(seed=1))
    if end == "started":
        path = sweep.start("c", sweep.settings(seed=2))
    shutil.copytree(path, sweep.path / "copy")
    now = sweep_status(SweepFolder(sweep.path))
    n_started = int(end == "started")
    assert (now.n_runs, now.left, now.damaged) == (2 + n_started, n_started, 0)
    assert now.is_over == (end == "finished")
    assert list(now.misplaced) == ["copy"]
    assert f"must be of the run copy, but got that of {path.name}" in now.misplaced["copy"]


def test_run_that_was_asked_for_is_left_where_its_record_is_anothers(sweep: Any) -> None:
    """The same command sets it aside, and trains the run again."""
    sweep.ask_for({"a": sweep.settings(), "b": sweep.settings(seed=1)})
    shutil.copytree(sweep.finish("a", 0.7, sweep.settings()), sweep.path / "b")
    now = sweep_status(SweepFolder(sweep.path))
    assert (now.finished, now.left, now.damaged, now.misplaced) == (1, 1, 1, {})
