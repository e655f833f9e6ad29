"""Real tiny runs that are tracked: what is told is what stands in their histories."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import ENVIRONMENT, Fork
from sweeps import end

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError
from lora_sweep.execution import execute, pack_recorder
from lora_sweep.execution.group import Options
from lora_sweep.interrupt import StoppedError
from lora_sweep.trackers import tracker as trackers

Composed = Callable[..., RunConfig]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Name -> points, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        name: [(event.step, event.value) for event in read.Scalars(name)]
        for name in read.Tags()["scalars"]
    }


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def check_told(folder: Path) -> None:
    """Every evaluation, alpha and ranks are told once, and the record's numbers."""
    told, lines = scalars(folder), history(folder)
    epochs = [line for line in lines if line["kind"] == "epoch"]
    record = json.loads((folder / "result.json").read_text())
    name = record["metric"]
    assert told["loss/train"] == [(e["step"], pytest.approx(e["train_loss"])) for e in epochs]
    assert told[f"metrics/{name}"] == [
        (e["step"], pytest.approx(e["metrics"][name])) for e in epochs
    ]
    expected = {line["step"]: line["alpha"] for line in lines}
    assert told["schedule/alpha"] == [
        (step, pytest.approx(alpha)) for step, alpha in sorted(expected.items())
    ]
    for number, matrix in enumerate(record["matrices"]):
        steps = {line["step"]: line["ranks"][number] for line in lines}
        points = [(step, pytest.approx(rank)) for step, rank in sorted(steps.items())]
        assert told[f"ranks/{matrix}"] == points
    summary = scalars(folder / "hparams")
    assert summary["summary/best_metric"] == [(0, pytest.approx(record["best_metric"]))]


def test_tensorboard_shows_the_runs_of_a_pack(
    composed: Composed, tiny_run: list[str], tmp_path: Path
) -> None:
    config = composed(*tiny_run, "tracker=tensorboard", "n_seeds=2")
    execute.run_cells([config], Options(pack_size=2))
    folders = [path.parent for path in (tmp_path / "outputs" / "tiny").glob("*/result.json")]
    assert len(folders) == 2
    for folder in folders:
        check_told(folder)


def test_run_that_goes_on_has_no_doubled_points(
    composed: Composed, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(*tiny_run, "tracker=tensorboard", "training.epochs=3")
    original = pack_recorder.PackRecorder.on_snapshot

    def stop_after_second(self: Any, run: int, snapshot: Any) -> None:
        original(self, run, snapshot)
        if snapshot.n_epochs == 2:
            raise StoppedError(15, "stopped")

    with monkeypatch.context() as patched:
        patched.setattr(pack_recorder.PackRecorder, "on_snapshot", stop_after_second)
        with pytest.raises(StoppedError):
            execute.run_cell(config)
    (folder,) = (path.parent for path in (tmp_path / "outputs" / "tiny").glob("*/settings.json"))
    assert len(scalars(folder)["loss/train"]) == 2
    execute.run_cell(config)
    assert len(scalars(folder)["loss/train"]) == 3
    check_told(folder)


def test_broken_tracker_does_not_end_the_training(
    composed: Composed, tiny_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_sweep.trackers.tensorboard import TensorBoardTracker

    def broken(*args: Any) -> None:
        raise OSError("no room")

    plain = execute.run_cell(composed(*tiny_run, "paths.sweep=plain"))
    monkeypatch.setattr(TensorBoardTracker, "log", broken)
    assert execute.run_cell(composed(*tiny_run, "tracker=tensorboard")) == plain


def test_missing_package_ends_before_a_run_starts(
    composed: Composed, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers.PACKAGES, "tensorboard", "no_such_package")
    with pytest.raises(SettingError, match=r"pip install .* '\.\[tensorboard\]'"):
        execute.run_cell(composed(*tiny_run, "tracker=tensorboard"))
    assert not (tmp_path / "outputs").exists()


LOADED = """
import sys

from lora_sweep.commands.run import main

main()
print("trackers:", [name for name in ("tensorboard", "wandb", "trackio") if name in sys.modules])
"""


def test_no_tracker_is_imported_unless_asked_for(tiny_run: list[str], tmp_path: Path) -> None:
    script = tmp_path / "loaded.py"
    script.write_text(LOADED)
    code, output = end(Fork([str(script), *tiny_run], cwd=tmp_path, env=os.environ | ENVIRONMENT))
    assert code == 0, output
    assert "trackers: []" in output.splitlines()
