"""Hydra's own parallel launchers: single runs, the caches shared, the records of the basic one."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from sweeps import TORTURE, Command

pytestmark = pytest.mark.slow
RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local", "hydra.sweeper.max_batch_size=2"],
    "ray": ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"],
}

EACH = ["joblib", "submitit_local", *([pytest.param("ray", marks=RAY)] if TORTURE else [])]


@pytest.fixture(scope="module")
def sweep(
    tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Command]:
    """A sweep of 2 runs that fill a cache of their own."""

    def command(*launcher: str) -> Command:
        folder: Path = tmp_path_factory.mktemp("sweep")
        cache = f"paths.cache={folder / 'cache'}"
        return Command(folder, "-m", *tiny_settings, cache, "seed=0,1", *launcher)

    return command


@pytest.fixture(scope="module")
def basic(sweep: Callable[..., Command]) -> Command:
    """The sweep by Hydra's own launcher that runs one job after the other."""
    command = sweep("hydra/launcher=basic")
    code, output = command.run()
    assert (code, len(command.runs)) == (0, 2), output
    return command


@pytest.mark.parametrize("launcher", EACH)
def test_parallel_launcher_leaves_what_basic_leaves(
    launcher: str, basic: Command, sweep: Callable[..., Command]
) -> None:
    command = sweep(*LAUNCHERS[launcher])
    code, output = command.run()
    assert code == 0, output
    assert command.numbers() == basic.numbers()
    caches = [
        sorted(file.name for file in one.folder.glob("cache/**/*.safetensors"))
        for one in (command, basic)
    ]
    assert caches[0] == caches[1] != []
    assert all(": epoch 2:" in (run / "run.log").read_text() for run in command.runs)
