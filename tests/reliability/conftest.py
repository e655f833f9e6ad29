"""An undisturbed sweep to compare with, a copy of it, and the same sweep anew."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import TORTURE, Command

AXES = ("learning_rate.head=0.001,1e30,0.01", "n_seeds=2", "training.epochs=4")
"""The runs of the second cell fail, beside those of the first in one pack."""

LAUNCHERS = {
    "pack": ["hydra.launcher.pack_size=4"],
    "basic": ["hydra/launcher=basic"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.sweeper.max_batch_size=1"],
}


@pytest.fixture(scope="session")
def reliability_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"paths.cache={tmp_path_factory.getbasetemp() / 'cache'}"


@pytest.fixture(scope="session")
def sweep_arguments(tiny_settings: list[str], reliability_cache: str) -> list[str]:
    """6 runs in 3 cells; the two of one cell fail."""
    return ["-m", *tiny_settings, reliability_cache, *AXES]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, sweep_arguments: list[str]) -> Command:
    """The sweep, run once to its end, with a cache of its own in its folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    command = Command(folder, *sweep_arguments, *LAUNCHERS["pack"], "paths.cache=cache")
    code, output = command.run(anew=TORTURE)  # then all forks are compared with a true process
    assert (code, len(command.runs)) == (1, 6), output
    return command


@pytest.fixture
def finished(undisturbed: Command, tmp_path: Path) -> Command:
    """A copy of the undisturbed sweep, which may be changed."""
    shutil.copytree(undisturbed.folder, tmp_path / "finished")
    return Command(tmp_path / "finished", *undisturbed.arguments)


@pytest.fixture
def disturbed(tmp_path: Path, sweep_arguments: list[str]) -> Callable[..., Command]:
    """The same sweep in a folder of its own, not started yet, with more arguments."""

    def command(*more: str, name: str = "disturbed", launcher: str = "pack") -> Command:
        return Command(tmp_path / name, *sweep_arguments, *LAUNCHERS[launcher], *more)

    return command
