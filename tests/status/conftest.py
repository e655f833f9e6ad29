"""A sweep folder that tests write to, with packs and claims."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from records import epoch_record, make_record

from lora_sweep.files import to_checked_json
from lora_sweep.store.record import FailureRecord, PrunedRecord
from lora_sweep.store.state import settings_json
from lora_sweep.store.sweep_list import add_to_sweep


class Sweep:
    """A sweep's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def settings(**changes: Any) -> dict[str, Any]:
        """Settings of a run."""
        return {"init": "uniform", "lr": 0.1, "seed": 0, "training.epochs": 4, **changes}

    def ask_for(self, runs: dict[str, dict[str, Any]], command: str = "a command") -> None:
        """Lists runs that a command asked for."""
        add_to_sweep(self.path, runs, command)

    def agree(self, packs: dict[str, list[str]]) -> None:
        """The packs that are not done."""
        (self.path / ".packs").mkdir(exist_ok=True)
        content = {"format_version": 1, "n_made": len(packs), "packs": packs, "origins": {}}
        (self.path / ".packs" / "packs.json").write_text(to_checked_json(content))

    def finish(self, name: str, value: float, settings: dict[str, Any], **fields: Any) -> Path:
        """A finished run, whose reported metric that is."""
        metric = fields.get("metric", "accuracy")
        record = make_record(
            name, settings, [epoch_record(1, {metric: value})], **{"wall_seconds": 60.0, **fields}
        )
        return self.write(name, "result.json", record.to_json())

    def fail(self, name: str, settings: dict[str, Any], error: str) -> None:
        """A failed run."""
        self.write(name, "failure.json", FailureRecord(settings, error, name).to_json())

    def prune(self, name: str, settings: dict[str, Any]) -> None:
        """A run that a search ended early."""
        self.write(name, "pruned.json", PrunedRecord(settings, 1, 0.5, "too slow", name).to_json())

    def start(self, name: str, settings: dict[str, Any]) -> Path:
        """A run that has left nothing but its settings."""
        return self.write(name, "settings.json", settings_json(Path(name), settings))

    def checkpoint(self, name: str, *, epoch: int, step: int, seconds: float) -> None:
        """A checkpoint of a run that takes ten steps an epoch."""
        import numpy as np
        from safetensors.numpy import save_file

        history = [{"kind": "epoch", "epoch": e, "step": 10 * e} for e in range(1, epoch + 1)]
        numbers = {"step": step, "wall_seconds": seconds, "history": history}
        folder = self.path / name / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        about = {"about": json.dumps({"numbers": json.dumps(numbers)})}
        file = folder / f"{epoch:04d}-{step:09d}.safetensors"
        save_file({"x": np.zeros(1)}, file, about)

    def write(self, name: str, file: str, text: str) -> Path:
        """A file in a run's folder."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
        return folder

    def age(self, name: str, seconds: float) -> None:
        """Makes a file or folder look as if it had last changed so long ago."""
        past = time.time() - seconds
        os.utime(self.path / name, (past, past))


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """An empty sweep."""
    (tmp_path / "demo").mkdir()
    return Sweep(tmp_path / "demo")
