"""Builders of run folders: settings, records, and a sweep to write them to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from records import epoch_record, make_record

from lora_sweep.store.epochs import EpochRecord
from lora_sweep.store.record import FailureRecord
from lora_sweep.store.state import settings_json
from lora_sweep.store.sweep_list import add_to_sweep

LEARNT: dict[str, Any] = {
    "init": "uniform",
    "lr": 0.001,
    "seed": 0,
    "rank.min": 5,
    "rank.max": 25,
    "rank.average": 20,
    "alpha.min": 0.5,
    "alpha.max": 3.0,
    "budget.schedule": "constant",
    "budget.start_average": 20.0,
    "allocation.mode": "capped",
    "model.dropout": None,
    "model.adapted": ["query", "value"],
    "data.name": "cola",
    "data.task": "cola",
    "training.epochs": 3,
    "training.epochs_discrete": 1,
}
WITHOUT_EFFECT = ("lr", "rank.min", "training.epochs_discrete", "alpha.", "budget.", "allocation.")


def settings_of(**changes: Any) -> dict[str, Any]:
    """Settings of a run; `__` in a name stands for a dot; fixed ranks get their Nones."""
    settings = LEARNT | {name.replace("__", "."): value for name, value in changes.items()}
    if settings["init"] == "fixed":
        settings |= {name: None for name in settings if name.startswith(WITHOUT_EFFECT)}
    return settings


def _epochs(best: float, average: int, fields: dict[str, Any]) -> list[EpochRecord]:
    """Three evaluations, the second the best; another may be chosen on a selection split.

    The one matrix has the average rank.
    """
    rank = int(average)
    metrics = [{"matthews_correlation": best + change} for change in (-0.05, 0.0, -0.1)]
    selected = fields.get("selected_metric")
    if selected is not None:
        chosen = fields.setdefault("selected_epoch", 1) - 1
        metrics[chosen]["matthews_correlation"] = selected
        for i, own in enumerate(metrics):
            own["matthews_correlation/selection"] = float(i == chosen)
    return [epoch_record(i, own, rank=rank) for i, own in enumerate(metrics, 1)]


class Sweep:
    """A sweep folder that tests write runs to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def finish(self, name: str, best: float, settings: dict[str, Any], **fields: Any) -> Path:
        """A finished run; its fingerprint is its name's, and its final metric 0.1 below best."""
        epochs = fields.pop("epochs", None)
        if epochs is None:
            epochs = _epochs(best, settings.get("rank.average") or 20, fields)
        metric = fields.pop("metric", "matthews_correlation")
        record = make_record(name, settings, epochs, metric=metric, **fields)
        return self.write(name, "result.json", record.to_json())

    def fail(self, name: str, settings: dict[str, Any], error: str) -> Path:
        """A failed run."""
        return self.write(name, "failure.json", FailureRecord(settings, error, name).to_json())

    def start(self, name: str, settings: dict[str, Any]) -> Path:
        """A run that has left nothing but its settings."""
        return self.write(name, "settings.json", settings_json(Path(name), settings))

    def ask_for(self, runs: dict[str, dict[str, Any]], command: str = "a command") -> None:
        """Lists runs that a command asked for."""
        add_to_sweep(self.path, runs, command)

    def write(self, name: str, file: str, text: str) -> Path:
        """Any file in a run's folder."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
        return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """An empty sweep folder."""
    return _empty(tmp_path)


@pytest.fixture(scope="module")
def shared_sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep folder that all tests of a file look at and none changes."""
    return _empty(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="session")
def settings() -> Callable[..., dict[str, Any]]:
    """See `settings_of`."""
    return settings_of


def _empty(folder: Path) -> Sweep:
    (folder / "outputs" / "demo").mkdir(parents=True)
    return Sweep(folder / "outputs" / "demo")
