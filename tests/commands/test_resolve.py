"""Which command a resolve comes to; nothing is trained here."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.commands import resolve
from lora_sweep.errors import SettingError
from lora_sweep.store.sweep_list import add_to_sweep

SWEEP = "python -m lora_sweep --multirun init=uniform,fixed"


def _arguments(folder: Path, *given: str, commands: tuple[str, ...]) -> list[str]:
    for number, command in enumerate(commands):
        add_to_sweep(folder, {f"{number}": {"seed": number}}, command)
    parsed = resolve._parser().parse_intermixed_args([str(folder), *given])
    return resolve.resolve_arguments(folder, parsed)


def test_seeds_and_places_are_left_out_and_grids_stay(tmp_path: Path) -> None:
    folder = tmp_path / "my sweep"
    own = "'hydra.sweeper.grids=[{init: fixed}]' hydra.sweeper.max_batch_size=2 lr=0.1"
    command = f"{SWEEP} {own} seed=0,1 n_seeds=2 paths.sweep=elsewhere hydra/sweeper=grids"
    assert _arguments(folder, "--looks", "3,4", "hydra.launcher.executor=joblib",
                      commands=(command,)) == [
        "--multirun",
        "init=uniform,fixed",
        "hydra.sweeper.grids=[{init: fixed}]",
        "hydra.sweeper.max_batch_size=2",
        "lr=0.1",
        f"paths.outputs='{tmp_path}'",
        "paths.sweep='my sweep'",
        "hydra/sweeper=resolve",
        "hydra.sweeper.looks=[3,4]",
        "hydra.launcher.executor=joblib",
    ]  # fmt: skip


def test_commands_that_differ_in_seeds_or_launcher_are_one_sweep(tmp_path: Path) -> None:
    resolved = f"{SWEEP} lr=0.3 hydra/sweeper=resolve hydra.sweeper.max_runs=3"
    commands = (f"{SWEEP} seed=0,1", f"{SWEEP} seed=2 hydra.launcher.executor=joblib", resolved)
    found = _arguments(tmp_path, commands=commands)
    assert found[:3] == ["--multirun", "init=uniform,fixed", "hydra.launcher.executor=joblib"]


def test_sweep_that_was_only_resolved_is_gone_on_with(tmp_path: Path) -> None:
    commands = tuple(
        f"{SWEEP} hydra/sweeper=resolve hydra.sweeper.max_runs={n} seed=4" for n in (2, 3)
    )
    found = _arguments(tmp_path, commands=commands)
    assert found[:2] == ["--multirun", "init=uniform,fixed"]
    assert "hydra.sweeper.max_runs" not in " ".join(found)


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ((SWEEP, f"{SWEEP} lr=0.1"), "a sweep of one command, seeds apart, but got 2"),
        ((f"{SWEEP} search=rank_range",), "named settings, but got a search"),
        ((f"{SWEEP} hydra/sweeper=optuna",), "named settings, but got a search"),
        ((), "must hold a sweep's list of runs, but got a folder without it"),
    ],
)
def test_what_is_no_sweep_is_refused(
    tmp_path: Path, commands: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        _arguments(tmp_path, commands=commands)


def test_folder_that_is_not_there_is_named(tmp_path: Path, capsys: Any) -> None:
    assert resolve.main([str(tmp_path / "nowhere")]) == 1
    assert "nowhere must hold a sweep's list of runs, but got nothing there" in (
        capsys.readouterr().err
    )
