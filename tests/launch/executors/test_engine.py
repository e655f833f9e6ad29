"""The settings of the executors: what is taken, what is refused, and by which message."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.errors import SettingError
from lora_sweep.launch.executors import engine
from lora_sweep.launch.executors.engine import DEFAULTS, Engine
from lora_sweep.launch.executors.pools import PoolExecutor


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"name": "dask"}, r"executor must be local, joblib, submitit, ray, but got dask"),
        ({"devices": []}, r"devices must be auto, or a list .*, but got \[\]"),
        ({"devices": [-1]}, r"devices must be auto, or a list .*, but got \[-1\]"),
        ({"devices": "cuda"}, r"devices must be auto, or a list .*, but got cuda"),
        ({"packs_per_device": 0}, r"packs_per_device must be an integer of at least 1, but got 0"),
        (
            {"settings": DEFAULTS | {"joblib": {"n_jobs": 8}}},
            r"joblib.n_jobs must be left out unless hydra.launcher.executor=joblib, but got 8",
        ),
        (
            {"settings": {"submitit": {"parameters": {"timeout_min": 9}}}},
            r"submitit.parameters must be left out unless hydra.launcher.executor=submitit",
        ),
        (
            {"name": "joblib", "devices": [0, 1]},
            r"devices must be left out unless hydra.launcher.executor=local, but got \[0, 1\]",
        ),
        (
            {"name": "joblib", "packs_per_device": 4},
            r"packs_per_device must be left out unless hydra.launcher.executor=local, but got 4",
        ),
    ],
    ids=[
        *("name", "no-device", "negative", "word", "packs"),
        *("another's", "another's part", "device of a pool", "packs of a pool"),
    ],
)
def test_impossible_engine_is_refused(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(SettingError, match=f"hydra.launcher.{rule}"):
        Engine(**settings)


def test_missing_package_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install -c constraints.txt -e '\.\[ray\]'"):
        Engine("ray")


@pytest.mark.parametrize(
    ("made", "capacity"),
    [
        (Engine(devices=["cpu", "cpu"]), 2),
        (Engine(devices=[0, 2], packs_per_device=2), 4),
        (Engine(devices=[1]), 1),
        (Engine("joblib", settings={"joblib": {"n_jobs": 3}}), 3),
    ],
    ids=["pretended", "shared", "one", "joblib"],
)
def test_engine_has_a_worker_for_each_place(made: Engine, capacity: int, tmp_path: Path) -> None:
    executor = made.executor(tmp_path)
    assert isinstance(executor, PoolExecutor)
    assert executor.capacity == capacity


def test_each_device_has_its_own_workers(tmp_path: Path) -> None:
    executor = Engine(devices=[0, "cpu"], packs_per_device=2).executor(tmp_path)
    assert isinstance(executor, PoolExecutor)
    shown = [worker.environment["CUDA_VISIBLE_DEVICES"] for worker in executor.workers]
    assert sorted(shown) == ["", "", "0", "0"]
    assert shown[:2] == ["0", ""]  # the first packs go to different devices


def test_visible_devices_keep_their_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    executor = Engine().executor(tmp_path)
    assert isinstance(executor, PoolExecutor)
    shown = [worker.environment["CUDA_VISIBLE_DEVICES"] for worker in executor.workers]
    assert shown == ["3", "5"]


@pytest.mark.parametrize("n_devices", [0, 1])
def test_one_device_needs_no_workers(
    n_devices: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: n_devices)
    assert Engine().executor(tmp_path) is None


@pytest.mark.parametrize("given", [0, -2, "many", 1.5])
def test_impossible_number_of_processes_is_refused(given: object, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"joblib.n_jobs must be -1, or an integer of at least"):
        Engine("joblib", settings={"joblib": {"n_jobs": given}}).executor(tmp_path)


def test_every_engine_but_local_has_defaults() -> None:
    assert {"local", *DEFAULTS} == set(engine.NAMES)


def test_defaults_of_all_executors_are_taken_by_each() -> None:
    for name in ("local", "joblib", "submitit"):
        assert Engine(name, settings=DEFAULTS).name == name
