"""What TensorBoard reads of a run, with its own reader."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.trackers.tensorboard import TensorBoardTracker


def read_back(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read_back(folder).Scalars(name)]


def test_points_are_read_back(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(tmp_path, {})
    for step in (0, 4, 8):
        tracker.log(step, {"ranks/layer.0.query": step / 2, "schedule/alpha": 0.5})
    tracker.close()
    assert points(tmp_path, "ranks/layer.0.query") == [(0, 0.0), (4, 2.0), (8, 4.0)]
    assert points(tmp_path, "schedule/alpha") == [(0, 0.5), (4, 0.5), (8, 0.5)]


def test_starting_again_leaves_no_doubled_points(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        tracker = TensorBoardTracker(tmp_path, {})
        for step in (1, 2):
            tracker.log(step, {"loss/train": value})
        tracker.close()
    assert points(tmp_path, "loss/train") == [(1, 2.0), (2, 2.0)]


def test_end_holds_the_settings_and_the_summary(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    settings = {"lr": 0.1, "seed": 3, "init": "randn", "model.adapted": ["query"]}
    tracker = TensorBoardTracker(tmp_path, settings)
    tracker.finish("finished", {"summary/best_metric": 0.75})
    tracker.close()
    assert points(tmp_path, "summary/best_metric") == [(0, 0.75)]
    content = read_back(tmp_path).summary_metadata[metadata.SESSION_START_INFO_TAG]
    told = plugin_data_pb2.HParamsPluginData.FromString(content.plugin_data.content)
    values = told.session_start_info.hparams
    assert (values["lr"].number_value, values["seed"].number_value) == (pytest.approx(0.1), 3)
    assert [values[name].string_value for name in ("init", "model.adapted", "outcome")] == [
        "randn",
        "['query']",
        "finished",
    ]
