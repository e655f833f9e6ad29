"""How many jobs come together, by who trains them."""

from types import SimpleNamespace

import pytest
from hydra.plugins.launcher import Launcher

from lora_sweep.launch.cell_launcher import CellLauncher
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
