"""The launcher `pack`: its setting; what it trains is tested with real sweeps."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from lora_sweep.errors import SettingError
from lora_sweep.launch.pack import PackLauncher


@pytest.mark.parametrize(("given", "size"), [("auto", None), (1, 1), (32, 32)])
def test_pack_size_is_taken(given: int | str, size: int | None) -> None:
    assert PackLauncher(given).pack_size == size


@pytest.mark.parametrize("given", [0, -1, "many", 1.5])
def test_impossible_pack_size_is_refused(given: int | str) -> None:
    with pytest.raises(SettingError, match=r"pack_size must be auto, or an integer of at least 1"):
        PackLauncher(given)


@pytest.mark.parametrize("executor", ["local", "joblib"])
def test_only_a_queue_can_be_left(executor: str) -> None:
    with pytest.raises(SettingError, match=r"wait must be true unless .*=submitit, but got false"):
        PackLauncher(executor=executor, wait=False)
    assert PackLauncher(executor=executor).waits


@pytest.mark.parametrize("given", ["no", 0, None])
def test_impossible_wait_is_refused(given: Any) -> None:
    with pytest.raises(SettingError, match=r"launcher.wait must be true or false, but got"):
        PackLauncher(executor="submitit", wait=given)


@pytest.mark.parametrize(
    ("sweeper", "batch", "rule"),
    [
        ("optuna_resumable", None, "true unless hydra/sweeper=grids, .* got false with optuna"),
        ("grids", 4, "true with hydra.sweeper.max_batch_size"),
    ],
)
def test_sweep_that_needs_results_is_not_left(sweeper: str, batch: int | None, rule: str) -> None:
    runtime, own = {"choices": {"hydra/sweeper": sweeper}}, {"max_batch_size": batch}
    config = OmegaConf.create({"hydra": {"runtime": runtime, "sweeper": own}})
    launcher = PackLauncher(executor="submitit", wait=False)
    with pytest.raises(SettingError, match=rule):
        launcher.setup(hydra_context=None, task_function=None, config=config)  # type: ignore[arg-type]
