"""Which runs of a folder a report or status is of."""

from pathlib import Path

import pytest

from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.scope import EVERYTHING, LAST, Scope, runs_meant
from lora_sweep.store.sweep_list import add_to_sweep


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder of two commands with one run in common, a single run, and no run's folder."""
    add_to_sweep(tmp_path, {"a": {"seed": 0}, "b": {"seed": 1}}, "first")
    add_to_sweep(tmp_path, {"c": {"seed": 2}, "b": {"seed": 1}}, "second")
    for name in ("a", "b", "single"):
        RunFolder(tmp_path / name).start({}, "")
    (tmp_path / "figures").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("scope", "names", "n_others"),
    [
        (LAST, ["c", "b"], 2),
        (Scope("first"), ["a", "b"], 2),
        (EVERYTHING, ["a", "b", "c", "figures", "single"], 0),
        (Scope("not listed"), ["a", "b", "c", "figures", "single"], 0),
    ],
    ids=["last", "first", "everything", "not listed"],
)
def test_scope_is_one_command_or_all(
    scope: Scope, names: list[str], n_others: int, shared: Path
) -> None:
    meant, others = runs_meant(shared, scope)
    assert (list(meant), others) == (names, n_others)


def test_single_runs_are_all_meant(tmp_path: Path) -> None:
    RunFolder(tmp_path / "single").start({}, "")
    assert runs_meant(tmp_path, LAST) == ({"single": None}, 0)
    assert runs_meant(tmp_path / "absent", LAST) == ({}, 0)
