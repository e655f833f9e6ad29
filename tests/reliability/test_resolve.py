"""A sweep and its resolve as processes: killed, started twice, with an executor."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import ENVIRONMENT, Fork
from sweeps import SECONDS, TORTURE, Command, end, wait_for

from lora_sweep.store.finished_packs import FinishedPacks

pytestmark = pytest.mark.slow
LONG = pytest.mark.skipif(not TORTURE, reason="the long version: make torture")
LOOKS = "hydra.sweeper.looks=[3,4]"
Started = Callable[..., Command]


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory, tiny_settings: list[str], reliability_cache: str
) -> Started:
    """Arguments -> a command of two inits and a baseline, in a folder of its own."""
    return lambda *more: Command(
        tmp_path_factory.mktemp("resolve"),
        *("-m", *tiny_settings, reliability_cache, "init=randn,fixed", "lr=0.05"),
        *("hydra.launcher.pack_size=3", "model.pooling=cls", "learning_rate.adapter=0.5", *more),
    )


@pytest.fixture(scope="module")
def undisturbed(started: Started) -> tuple[Command, str]:
    """A resolve in a fresh folder, and what it said."""
    command = started("hydra/sweeper=resolve", LOOKS)
    code, output = command.run()
    assert code == 0, output
    return command, output


def _verdict(output: str) -> str:
    (line,) = [one for one in output.splitlines() if "against fixed, rank 2: " in one]  # once
    return line


def _n_trained_in_both(command: Command) -> int:
    """Seeds at which neither run collapsed."""
    records = [json.loads(path.read_text()) for path in command.sweep_dir.glob("*/result.json")]
    collapsed = {one["settings"]["seed"] for one in records if one["collapsed"]}
    return len({one["settings"]["seed"] for one in records} - collapsed)


def test_fresh_resolve_says_what_each_comparison_is(undisturbed: tuple[Command, str]) -> None:
    command, output = undisturbed
    assert len(command.runs) == 4 * 2
    assert "not resolved after 4 seeds" in _verdict(output)
    report = (command.sweep_dir / "report.md").read_text(encoding="utf-8")
    assert "## What is resolved?" in report
    (row,) = [line for line in report.splitlines() if "| the last look is made" in line]
    cells = [cell.strip() for cell in row.split("|")[1:5]]
    n = _n_trained_in_both(command)
    seeds = "4" if n == 4 else f"4 ({n} trained in both)"
    assert cells == ["Randn", "fixed, rank 2", "not resolved", seeds]


def test_killed_resolve_comes_to_the_same(
    started: Started, undisturbed: tuple[Command, str]
) -> None:
    command = started("hydra/sweeper=resolve", LOOKS)
    packs = command.sweep_dir / ".packs"
    code, _ = command.run_until(
        lambda: packs.exists() and len(FinishedPacks(packs).names()) >= 1, signal.SIGKILL
    )
    assert code == -signal.SIGKILL
    code, output = command.run()
    assert code == 0, output
    assert _verdict(output) == _verdict(undisturbed[1])
    assert command.numbers() == undisturbed[0].numbers()


@LONG
def test_two_processes_resolve_one_sweep(
    started: Started, undisturbed: tuple[Command, str]
) -> None:
    command = started("hydra/sweeper=resolve", LOOKS)
    first = command.start()
    wait_for(lambda: bool(list(command.sweep_dir.glob(".packs/*.claim"))))
    ends = [end(process) for process in (first, command.start())]
    assert [code for code, _ in ends] == [0, 0], ends
    assert {_verdict(output) for _, output in ends} == {_verdict(undisturbed[1])}
    assert command.numbers() == undisturbed[0].numbers()


@LONG
def test_sweep_is_resolved_by_its_folder_with_an_executor(started: Started) -> None:
    command = started("seed=0,1,2")
    code, output = command.run()
    assert code == 0, output
    resolve = Fork(
        ["lora_sweep.resolve", str(Path("outputs", "tiny")), "--looks", "3,4",
         "hydra.launcher.executor=joblib", "hydra.launcher.joblib.n_jobs=1"],
        cwd=command.folder, env=ENVIRONMENT,
    )  # fmt: skip
    said, _ = resolve.communicate(timeout=SECONDS)
    assert resolve.returncode == 0, said
    assert "for a look at 4 seeds: 2 runs to train" in said  # one of each init
    assert "broke" not in said
    assert "not resolved after 4 seeds" in _verdict(said)
