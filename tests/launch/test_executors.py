"""Sweeps whose packs other processes train: the files and numbers of one process."""

import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from sweeps import TORTURE, Command, Process, end, lines_with, text_of, wait_for

pytestmark = pytest.mark.slow
AXES = ("learning_rate.head=0.001,0.01,1e30", "seed=0,1", "training.epochs=20")
EXECUTORS = {
    "local": ["hydra.launcher.devices=[cpu,cpu]"],
    "joblib": ["hydra/launcher=pack_joblib"],
    "submitit": ["hydra/launcher=pack_submitit_local"],
    "ray": ["hydra.launcher.executor=ray", "+hydra.launcher.ray.init.num_cpus=2"],
}
ONE_WORKER = {  # each takes seconds to start
    "local": [],  # two, that train at the same time
    "joblib": ["hydra.launcher.joblib.n_jobs=1"],
    "submitit": ["hydra.launcher.submitit.max_queued=1"],
    "ray": ["++hydra.launcher.ray.init.num_cpus=1"],
}
RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
EACH = [pytest.param(name, marks=[RAY] if name == "ray" else []) for name in EXECUTORS]
STOPPED_OTHERWISE = (
    *(("local", signal.SIGTERM), ("joblib", signal.SIGINT), ("submitit", signal.SIGTERM)),
    pytest.param("ray", signal.SIGINT, marks=RAY),
)
LONG = "the long version: make torture"
Sweep = Callable[..., Command]


@pytest.fixture(scope="module")
def arguments(tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """6 runs in 2 packs, one of which holds the 2 that fail."""
    cache = f"paths.cache={tmp_path_factory.getbasetemp() / 'cache'}"
    return ["-m", *tiny_settings, cache, *AXES, "hydra.launcher.pack_size=3"]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Command:
    """The sweep as one process trains it."""
    command = Command(tmp_path_factory.mktemp("one_process"), *arguments)
    code, output = command.run()
    assert (code, len(command.runs)) == (1, 6), output
    return command


@pytest.fixture
def sweep(tmp_path: Path, arguments: list[str]) -> Sweep:
    """The same sweep by an executor, in a folder of its own, not started yet."""

    def command(executor: str, *more: str) -> Command:
        return Command(tmp_path / "sweep", *arguments, *EXECUTORS[executor], *more)

    return command


def workers(command: Command, main: Process) -> dict[str, int]:
    """Pack -> id of the worker that trains it just now.

    The main process holds a claim for a moment, to see whether it is free.
    """
    found: dict[str, int] = {}
    for claim in command.sweep_dir.glob(".packs/*.claim"):
        lines = lines_with(text_of(claim), "pid=")
        for line in lines:
            found[claim.stem] = int(line.removeprefix("pid="))
    return {pack: worker for pack, worker in found.items() if worker != main.pid}


def check_left(command: Command, code: int, output: str, one_process: Command) -> None:
    """The exit code, last words, files and numbers of a sweep that has come to its end."""
    assert code == 1, output
    assert "error: 2 of 6 jobs failed, the others are trained" in output
    assert "Traceback" not in output
    assert command.numbers() == one_process.numbers()
    for ours, expected in zip(command.runs, one_process.runs, strict=True):
        left = {file.name for file in ours.iterdir()} - {"failure.json.retried"}  # of a stop
        assert left == {file.name for file in expected.iterdir()}


def check_said_of(pack: str, output: str) -> None:
    """What is said of the pack whose worker was killed, once."""
    (said,) = lines_with(output, "worker died (")
    assert f"while it trained {pack}: queued again, try 2 of 3" in said


@pytest.mark.skipif(not TORTURE, reason=LONG)
@pytest.mark.parametrize("executor", EACH)
def test_workers_leave_what_one_process_leaves(
    executor: str, one_process: Command, sweep: Sweep
) -> None:
    command = sweep(executor)
    check_left(command, *command.run(), one_process)
    for ours, expected in zip(command.runs, one_process.runs, strict=True):
        log = (ours / "run.log").read_text()
        assert log.count(": epoch 1:") == (expected / "run.log").read_text().count(": epoch 1:")


@pytest.mark.skipif(not TORTURE, reason=LONG)
@pytest.mark.parametrize("executor", EACH)
def test_dead_worker_costs_its_pack_alone(
    executor: str, one_process: Command, sweep: Sweep
) -> None:
    command = sweep(executor)
    process = command.start()
    wait_for(lambda: bool(command.checkpoints()) and bool(workers(command, process)))
    pack, worker = sorted(workers(command, process).items())[0]
    os.kill(worker, signal.SIGKILL)
    code, output = end(process)
    check_left(command, code, output, one_process)
    assert "6 of 6 runs done" in output
    check_said_of(pack, output)


@pytest.mark.parametrize(
    ("executor", "number"),
    [
        *(("local", signal.SIGINT), ("joblib", signal.SIGTERM), ("submitit", signal.SIGINT)),
        pytest.param("ray", signal.SIGTERM, marks=RAY),
        *(STOPPED_OTHERWISE if TORTURE else ()),
    ],
)
def test_worker_dies_then_sweep_is_stopped_and_goes_on(
    executor: str, number: signal.Signals, one_process: Command, sweep: Sweep, arguments: list[str]
) -> None:
    command = sweep(executor, *([] if TORTURE else ONE_WORKER[executor]))
    process = command.start()
    n_workers = 2 if executor == "local" else 1
    wait_for(lambda: len(set(workers(command, process).values())) >= n_workers)
    wait_for(lambda: _n_in_epoch_3(command) >= 3)  # all runs of the first pack have saved one
    before = workers(command, process)
    pack, killed = sorted(before.items())[0]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not set(before.values()).issuperset(workers(command, process).values()))
    process.send_signal(number)
    stopped, output = end(process)
    assert stopped == 128 + number, output
    check_said_of(pack, output)
    assert "saved: the same command goes on" in output and "Traceback" not in output
    # Workers start for seconds, so this process goes on; with workers, in the long version.
    again = command if TORTURE else Command(command.folder, *arguments)
    code, output = again.run()
    check_left(again, code, output, one_process)
    assert "go on after step" in "".join((run / "run.log").read_text() for run in again.runs)


def _n_in_epoch_3(command: Command) -> int:
    later = (path for path in command.checkpoints() if int(path.stem.split("-")[1]) >= 6)
    return len({path.parent for path in later})


def test_pack_that_kills_every_worker_fails(sweep: Sweep) -> None:
    command = sweep("joblib", "training.epochs=500", "learning_rate.head=0.001")
    process = command.start()
    killed: set[int] = set()
    while len(killed) < 3:
        wait_for(lambda: not killed.issuperset(workers(command, process).values()))
        (worker,) = workers(command, process).values()
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)
    code, output = end(process)
    assert code == 1, output
    assert "pack-000000 must leave its workers alive, but got 3 that died" in output
    assert "SIGKILL" in output and "2 of 2 jobs failed" in output


def test_search_keeps_its_workers_between_batches(
    tmp_path: Path, tiny_settings: list[str]
) -> None:
    search = ("hydra/sweeper=optuna", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=4")
    more = (*EXECUTORS["local"], "hydra.launcher.pack_size=1", "lr=interval(0.001,0.01)")
    command = Command(tmp_path, "-m", *tiny_settings, *search, *more)
    code, output = command.run()
    assert code == 0, output
    assert output.count("2 of 2 runs done") == 2
    assert len(list(command.sweep_dir.glob("*/result.json"))) == 4
