"""Sweeps whose packs other processes train: the files and numbers of one process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import Command

pytestmark = pytest.mark.slow
AXES = ("learning_rate.head=0.001,0.01,1e30", "seed=0,1", "training.epochs=6")
SIZE = "hydra.launcher.pack_size=3"
EXECUTORS = {
    "local": ["hydra.launcher.devices=[cpu,cpu]"],
    "joblib": ["hydra/launcher=pack_joblib"],
    "submitit": ["hydra/launcher=pack_submitit_local"],
    "ray": [
        "hydra/launcher=pack",
        "hydra.launcher.executor=ray",
        "+hydra.launcher.ray.init.num_cpus=2",
    ],
}
Disturbed = Callable[..., Command]


@pytest.fixture(scope="module")
def arguments(tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """6 runs in 2 packs, one of which holds the 2 that fail."""
    cache = f"paths.cache={tmp_path_factory.getbasetemp() / 'cache'}"
    return ["-m", *tiny_settings, cache, *AXES, SIZE]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Command:
    command = Command(tmp_path_factory.mktemp("one_process"), *arguments)
    code, output = command.run()
    assert (code, len(command.runs)) == (1, 6), output
    return command


@pytest.fixture
def sweep(tmp_path: Path, arguments: list[str]) -> Callable[..., Command]:
    """The same sweep by an executor, in a folder of its own, not started yet."""
    return lambda executor, *more: Command(
        tmp_path / "sweep", *arguments, *EXECUTORS[executor], *more
    )


@pytest.mark.parametrize("executor", EXECUTORS)
def test_workers_leave_what_one_process_leaves(
    executor: str, one_process: Command, sweep: Callable[..., Command]
) -> None:
    command = sweep(executor)
    code, output = command.run()
    print(output)
    assert code == 1, output
    assert command.numbers() == one_process.numbers()
