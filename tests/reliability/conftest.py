"""An undisturbed sweep to compare with, and the same sweep anew."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import Command

AXES = ("learning_rate.head=0.001,0.01,1e30", "seed=0,1", "training.epochs=6")

LAUNCHERS = {
    "pack": ["hydra.launcher.pack_size=3"],
    "basic": ["hydra/launcher=basic"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.sweeper.max_batch_size=1"],
}


@pytest.fixture(scope="session")
def reliability_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"paths.cache={tmp_path_factory.getbasetemp() / 'cache'}"


@pytest.fixture(scope="session")
def sweep_arguments(tiny_settings: list[str], reliability_cache: str) -> list[str]:
    """6 runs, two of which fail."""
    return ["-m", *tiny_settings, reliability_cache, *AXES]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, sweep_arguments: list[str]) -> Command:
    """The sweep, run once to its end; not as a fork, so that all others are compared with that."""
    command = Command(tmp_path_factory.mktemp("undisturbed"), *sweep_arguments, *LAUNCHERS["pack"])
    code, output = command.run(anew=True)
    assert (code, len(command.runs)) == (1, 6), output
    return command


@pytest.fixture
def disturbed(tmp_path: Path, sweep_arguments: list[str]) -> Callable[..., Command]:
    """The same sweep in a folder of its own, not started yet, with more arguments."""

    def command(*more: str, name: str = "disturbed", launcher: str = "pack") -> Command:
        return Command(tmp_path / name, *sweep_arguments, *LAUNCHERS[launcher], *more)

    return command
