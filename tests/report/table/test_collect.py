"""Run folders -> tidy table."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from lora_sweep.errors import LoraSweepError
from lora_sweep.files import to_checked_json
from lora_sweep.report.pages.cells import cell_note
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.table.tidy import setting_names
from lora_sweep.store.epochs import EpochRecord
from lora_sweep.store.record import PrunedRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.scope import EVERYTHING

Settings = Callable[..., dict[str, Any]]


def test_status_follows_the_files(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.6, settings(seed=0))
    sweep.fail("b", settings(seed=1), "ValueError: too large")
    sweep.start("c", settings(seed=2))
    sweep.ask_for({"d": settings(seed=3)})
    runs = collect_runs(sweep.path, scope=EVERYTHING).set_index("folder")
    assert runs["status"].to_dict() == {
        "a": "finished",
        "b": "failed",
        "c": "missing",
        "d": "missing",
    }
    assert runs["seed"].to_dict() == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert runs.loc["b", "error"] == "ValueError: too large"


def test_failed_run_counts_as_failed_while_it_is_tried_again(
    sweep: Any, settings: Settings
) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.fail("b", settings(seed=1), "ValueError: too large")
    folder = RunFolder(sweep.path / "b")
    folder.reopen()
    assert collect_runs(sweep.path)["error"][1] == "ValueError: too large"
    folder.start(settings(seed=1), "")
    assert collect_runs(sweep.path)["status"].tolist() == ["finished", "failed"]


def test_columns_are_typed(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.finish("b", 0.7, settings(init="fixed"), selected_metric=0.65, selected_epoch=1)
    sweep.start("c", settings(seed=1, alpha__min=1))
    types = collect_runs(sweep.path).dtypes.astype(str)
    expected = {"init": "str", "seed": "Int64", "lr": "Float64", "rank.min": "Int64"}
    expected |= {"alpha.min": "Float64", "alpha.max": "Float64", "model.adapted": "object"}
    expected |= {"reported_metric": "float64", "best_epoch": "Int64", "collapsed": "boolean"}
    assert {name: types[name] for name in expected} == expected


def test_reported_metric_is_the_selected_one(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.7, settings(), selected_metric=0.65, selected_epoch=1)
    sweep.finish("b", 0.6, settings(seed=1))
    runs = collect_runs(sweep.path)
    assert runs["reported_metric"].tolist() == [0.65, 0.6]
    assert runs["reported_epoch"].tolist() == [1, 2]
    assert runs["final_metric"].tolist() == pytest.approx([0.6, 0.5])


def test_metric_in_words_says_whose_f1_it_is(sweep: Any, settings: Settings) -> None:
    epochs = [EpochRecord(1, 8, 0.5, {"f1": 0.6}, 0.5, 9.0, 0.0, 9, [3.0], [3])]
    named = {"metric": "f1", "label_names": ["spam", "ham"], "epochs": epochs, "best_epoch": 1}
    sweep.finish("a", 0.6, settings(), **named)
    runs = collect_runs(sweep.path)
    assert runs[["metric", "metric_words"]].values.tolist() == [["f1", "f1 of label ham"]]


def test_setting_names_leave_out_the_record(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.7, settings())
    names = setting_names(collect_runs(sweep.path))
    assert set(names) == set(settings())


def test_runs_stand_as_asked_for(sweep: Any, settings: Settings) -> None:
    for seed, name in enumerate(("z", "a", "m")):
        sweep.finish(name, 0.6, settings(seed=seed))
    sweep.ask_for({"z": settings(), "m": settings(seed=2)})
    assert collect_runs(sweep.path)["folder"].tolist() == ["z", "m"]
    assert collect_runs(sweep.path, scope=EVERYTHING)["folder"].tolist() == ["z", "m", "a"]


def test_pruned_run_says_when_and_why(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.6, settings())
    record = PrunedRecord(settings(seed=1), 1, 0.3, "pruned by the search after epoch 1", "b")
    sweep.write("b", "pruned.json", record.to_json())
    runs = collect_runs(sweep.path)
    assert runs["status"].tolist() == ["finished", "pruned"]
    assert runs["error"][1] == "pruned by the search after epoch 1"
    (cell,) = summarise_runs(runs).to_dict("records")
    assert (cell["n_seeds"], cell["n_expected"], cell["n_pruned"]) == (1, 2, 1)
    assert cell_note(cell) == "1 pruned"


def test_settings_come_from_the_record(sweep: Any, settings: Settings) -> None:
    sweep.finish("uniform-lr0.5-seed9", 0.6, settings(lr=0.02))
    sweep.ask_for({"uniform-lr0.5-seed9": settings(lr=0.5)})
    runs = collect_runs(sweep.path)
    assert (runs["lr"].tolist(), runs["seed"].tolist()) == ([0.02], [0])


def test_other_folders_are_left_out(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.write("logs", "events.txt", "started")
    sweep.start(".writing-1", settings(seed=1))
    sweep.write("", "notes.txt", "none of a run")
    assert collect_runs(sweep.path)["folder"].tolist() == ["a"]


def _damaged(text: str, **changes: Any) -> str:
    """The record with other values, as if it had been written so."""
    fields = json.loads(text) | changes
    del fields["sha256"]
    return to_checked_json(fields)


IMPOSSIBLE = [
    ({"init": "x", "seed": 2**70}, "seed must be within 64 bits"),
    ({"init": "x", "seed": 0, "lr": 1e999}, "lr must be finite"),
    ({"init": "x", "seed": 0, "lr": "high"}, "lr must be a number or null"),
    ({"init": "x", "seed": 0, "rank.max": [1]}, "rank.max must be a number or null"),
    ({"init": "x", "seed": 0, "init.values": [0.5, float("nan")]}, "init.values must be finite"),
    ({"init": "\ud800", "seed": 0}, "init must be text that a file can hold"),
    ({"init": "x", "seed": 0, "data.\udfff": 1}, "must be text that a file can hold"),
]
"""Settings that no table or file can hold."""


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda text: text[:100], "can't be read", id="cut off"),
        pytest.param(lambda text: _damaged(text, epochs=[]), "numbered from 1", id="no epochs"),
        pytest.param(lambda text: _damaged(text, matrices=["a", "b"]), "2 ranks", id="ranks"),
        pytest.param(lambda text: _damaged(text, settings=None), "settings must", id="settings"),
        pytest.param(lambda text: _damaged(text, settings={"init": "x"}), "seed", id="no seed"),
        pytest.param(lambda text: _damaged(text, best_metric="high"), "type float", id="text"),
        pytest.param(
            lambda text: _damaged(text, final_metric=float("nan")), "epochs say", id="NaN"
        ),
        pytest.param(lambda text: _damaged(text, best_metric=0.99), "epochs say", id="edited"),
        pytest.param(lambda text: _damaged(text, name="good"), "of the run harmed", id="copied"),
        pytest.param(lambda text: text.replace("sha256", "sha"), "checksum", id="no checksum"),
        *(
            pytest.param(lambda text, own=own: _damaged(text, settings=own), said, id=str(said))
            for own, said in IMPOSSIBLE
        ),
        pytest.param(
            lambda text: _damaged(text, settings={"init": "x", "seed": 0, "status": "y"}),
            "status",
            id="reserved name",
        ),
    ],
)
def test_unreadable_run_is_named_and_kept_apart(
    sweep: Any,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[str], str],
    said: str,
) -> None:
    sweep.finish("good", 0.6, settings())
    path = sweep.finish("harmed", 0.7, settings(seed=1)) / "result.json"
    path.write_text(damage(path.read_text()))
    with caplog.at_level(logging.WARNING):
        runs = collect_runs(sweep.path).set_index("folder")
    assert runs["status"].to_dict() == {"good": "finished", "harmed": "unreadable"}
    assert said in str(runs.loc["harmed", "error"])
    assert "harmed" in caplog.text
    assert pd.isna(runs.loc["harmed", "reported_metric"])


def test_unreadable_run_keeps_known_settings(sweep: Any, settings: Settings) -> None:
    sweep.start("a", settings(seed=4))
    sweep.write("a", "result.json", "{")
    sweep.write("b", "failure.json", "{")
    sweep.ask_for({"b": settings(seed=5)})
    runs = collect_runs(sweep.path, scope=EVERYTHING).set_index("folder")
    assert runs["seed"].to_dict() == {"b": 5, "a": 4}
    assert set(runs["status"]) == {"unreadable"}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("absent", "nothing there", id="absent"),
        pytest.param("a_file", "a file", id="file"),
        pytest.param("empty", "folder without them", id="empty folder"),
        pytest.param("run", "folder of a single run: give the one it lies in", id="run folder"),
    ],
)
def test_no_sweep_is_refused(sweep: Any, settings: Settings, place: str, said: str) -> None:
    sweep.write("", "a_file", "")
    (sweep.path / "empty").mkdir()
    sweep.finish("run", 0.6, settings())
    looked_for = r"sweep\.json or run folders with result\.json, failure\.json or settings\.json"
    with pytest.raises(LoraSweepError, match=f"{looked_for}, but got .*{said}"):
        collect_runs(sweep.path / place)


def test_unreadable_list_leaves_the_runs_that_have_folders(
    sweep: Any, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.write("", "sweep.json", "{")
    assert collect_runs(sweep.path)["folder"].tolist() == ["a"]
    assert "sweep.json can't be read" in caplog.text


def test_unreadable_run_keeps_the_settings_that_lie_beside(
    sweep: Any, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.finish("b", 0.7, settings(init=3, seed=1))
    sweep.start("b", settings(seed=1))
    runs = collect_runs(sweep.path).set_index("folder")
    assert (runs.loc["b", "status"], runs.loc["b", "seed"]) == ("unreadable", 1)
    assert "run b can't be read" in caplog.text
