"""How many jobs come together, by who trains them, and which trials can be pruned."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.plugins.launcher import Launcher

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError
from lora_sweep.launch.cell_launcher import CellLauncher
from lora_sweep.launch.cells import Cell
from lora_sweep.launch.pack import PackLauncher


@pytest.mark.parametrize(
    ("n_workers", "n_jobs", "n_together"),
    [(1, 4, 4), (2, 4, 2), (3, 4, 1), (3, 7, 2), (4, 4, 1), (64, 4, 1), (None, 4, 4)],
)
def test_jobs_under_way_are_shared_among_the_workers(
    n_workers: int | None, n_jobs: int, n_together: int
) -> None:
    launcher = PackLauncher()
    executor = None if n_workers is None else SimpleNamespace(capacity=n_workers)
    vars(launcher)["executor"] = executor
    assert CellLauncher(launcher).n_together(n_jobs) == n_together


def test_launcher_of_hydras_gets_all_jobs_together() -> None:
    class Stock(Launcher):  # type: ignore[misc]
        def launch(self, job_overrides: object, initial_job_idx: int) -> list[object]:
            return []

        def setup(self, **given: object) -> None:
            pass

    assert CellLauncher(Stock()).n_together(4) == 4


def _trial(config: RunConfig, n_seeds: int) -> Cell:
    return Cell((), "", b"", config, {str(seed): {} for seed in range(n_seeds)})


def test_pruned_trials_need_a_pack_for_all_their_seeds(
    changed: Callable[..., RunConfig], tiny_base: Path
) -> None:
    trial = _trial(changed({"model.path": str(tiny_base)}), 3)
    for size in ("auto", 3, 4):
        CellLauncher(PackLauncher(size)).check_trials(trial, "median")
    with pytest.raises(SettingError, match=r"pack_size must be auto, or at least n_seeds=3 with"):
        CellLauncher(PackLauncher(2)).check_trials(trial, "median")


def test_pruned_trials_over_a_base_that_cannot_pack_have_one_seed(
    changed: Callable[..., RunConfig], tiny_deberta: Path
) -> None:
    drops = changed({"model.path": str(tiny_deberta)})
    launcher = CellLauncher(PackLauncher())
    launcher.check_trials(_trial(drops, 1), "median")
    with pytest.raises(SettingError, match=r"n_seeds must be 1 with pruner=median .*, but got 2"):
        launcher.check_trials(_trial(drops, 2), "median")
    without = changed({"model.path": str(tiny_deberta), "model.dropout": 0.0})
    launcher.check_trials(_trial(without, 2), "median")
