"""What TensorBoard reads of a run, with its own reader."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.trackers.tensorboard import TensorBoardTracker

CELL = "a"


def read_back(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read_back(folder).Scalars(name)]


def test_points_are_read_back(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(tmp_path, {}, CELL)
    for step in (0, 4, 8):
        tracker.log(step, {"ranks/layer.0.query": step / 2, "schedule/alpha": 0.5})
    tracker.close()
    assert points(tmp_path, "ranks/layer.0.query") == [(0, 0.0), (4, 2.0), (8, 4.0)]
    assert points(tmp_path, "schedule/alpha") == [(0, 0.5), (4, 0.5), (8, 0.5)]


def test_starting_again_leaves_no_doubled_points(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        tracker = TensorBoardTracker(tmp_path, {}, CELL)
        for step in (1, 2):
            tracker.log(step, {"loss/train": value})
        tracker.close()
    assert points(tmp_path, "loss/train") == [(1, 2.0), (2, 2.0)]


def test_end_holds_the_settings_and_the_summary(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    settings = {"lr": 0.1, "seed": 3, "init": "randn", "model.adapted": ["query"]}
    tracker = TensorBoardTracker(tmp_path, settings, CELL)
    tracker.finish("finished", {"summary/best_metric": 0.75})
    tracker.close()
    assert points(tmp_path / "hparams", "summary/best_metric") == [(0, 0.75)]
    content = read_back(tmp_path / "hparams").summary_metadata[metadata.SESSION_START_INFO_TAG]
    told = plugin_data_pb2.HParamsPluginData.FromString(content.plugin_data.content)
    values = told.session_start_info.hparams
    assert (values["lr"].number_value, values["seed"].number_value) == (pytest.approx(0.1), 3)
    assert [values[name].string_value for name in ("init", "model.adapted", "outcome")] == [
        "randn",
        "['query']",
        "finished",
    ]


def hparams_page(sweep: Path) -> tuple[Any, list[Any]]:
    """What the page HPARAMS shows of a sweep: its columns and its rows, by TensorBoard itself."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment
    from tensorboard.plugins.hparams.list_session_groups import Handler

    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(sweep))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(sweep))
    context = backend_context.Context(TBContext(data_provider=provider, multiplexer=multiplexer))
    every = (
        *(api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE),
        api_pb2.STATUS_RUNNING,
    )
    wanted = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100, allowed_statuses=every, include_metrics=True
    )
    asked = api_pb2.GetExperimentRequest(include_metrics=True)
    experiment = get_experiment.Handler(RequestContext(), context, "", asked).run()
    return experiment, list(Handler(RequestContext(), context, "", wanted).run().session_groups)


def test_page_hparams_has_a_row_a_run_with_the_settings_of_its_cell(tmp_path: Path) -> None:
    """The first run has failed, and has no lr: nothing of the others may be hidden by that."""
    runs: list[tuple[str, dict[str, Any], str, dict[str, float]]] = [
        ("fixed-r8-seed0-aa", {"init": "fixed", "seed": 0}, "failed", {}),
        ("randn-r8-lr0.1-seed0-bb", {"init": "randn", "lr": 0.1, "seed": 0}, "finished", {"m": 1}),
        ("randn-r8-lr0.1-seed1-cc", {"init": "randn", "lr": 0.1, "seed": 1}, "finished", {"m": 2}),
    ]
    for name, settings, outcome, summary in runs:
        tracker = TensorBoardTracker(tmp_path / name, settings, name.rpartition("-seed")[0])
        tracker.log(4, {"ranks/layer.0.query": 1.0})
        tracker.finish(outcome, {f"summary/{key}": value for key, value in summary.items()})
        tracker.close()
    experiment, rows = hparams_page(tmp_path)
    columns = {info.name: info.differs for info in experiment.hparam_infos}
    assert columns.keys() == {"cell", "init", "lr", "seed", "outcome"}
    assert columns["init"] and columns["seed"] and not columns["lr"]
    assert [info.name.tag for info in experiment.metric_infos] == ["summary/m"]
    by_name = {row.name: row for row in rows}
    assert by_name.keys() == {name for name, *_ in runs}
    cells = {}
    for name, settings, outcome, summary in runs:
        row = by_name[name]
        told = {
            key: value.number_value or value.string_value for key, value in row.hparams.items()
        }
        cells[name] = told.pop("cell")
        assert told == {key: value or "" for key, value in settings.items()} | {"outcome": outcome}
        assert [metric.value for metric in row.metric_values] == list(summary.values())
        assert row.sessions[0].status == (2 if outcome == "failed" else 1)  # FAILURE, SUCCESS
    assert list(cells.values()) == ["fixed-r8", "randn-r8-lr0.1", "randn-r8-lr0.1"]


def test_starting_again_leaves_no_second_row(tmp_path: Path) -> None:
    for outcome in ("failed", "finished"):
        tracker = TensorBoardTracker(tmp_path / "a-seed0-h", {"seed": 0}, CELL)
        tracker.finish(outcome, {})
        tracker.close()
    (row,) = hparams_page(tmp_path)[1]
    assert row.hparams["outcome"].string_value == "finished"
