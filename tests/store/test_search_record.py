"""Records of searches: to disk and back, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.errors import DamagedRecordError, RecordError
from lora_sweep.files import to_checked_json
from lora_sweep.store.search_record import (
    SEARCH_FILE,
    Confirmation,
    SearchRecord,
    TrialRecord,
    read_search,
    write_search,
)

FINISHED = TrialRecord(
    number=0,
    status="finished",
    params={"rank.min": 1, "lr": 0.01, "init": "randn"},
    values=(0.5, 2712.0),
    folders=("a-seed0", "a-seed1"),
    seeds=(0, 1),
    metrics=(0.4, 0.6),
)
PRUNED = replace(
    FINISHED, number=1, status="pruned", values=None, metrics=(None, None), pruned_epoch=2
)
WAITING = TrialRecord(2, "waiting", {}, None, (), (), ())
SEARCH = SearchRecord(
    study_name="study",
    storage="sqlite:///study.db",
    sampler="tpe",
    pruner="none",
    objectives=("matthews_correlation", "trained_params"),
    directions=("maximize", "minimize"),
    n_trials=3,
    trials=(FINISHED, PRUNED, WAITING),
    importances={"rank.min": 0.25, "lr": 0.75},
    confirmed=(Confirmation(0, (7, 8), ("a-seed7", "a-seed8"), (0.3, None)),),
)


def test_search_survives_the_way_to_disk(tmp_path: Path) -> None:
    write_search(tmp_path, SEARCH)
    assert read_search(tmp_path) == SEARCH


def test_later_search_replaces_the_earlier(tmp_path: Path) -> None:
    write_search(tmp_path, replace(SEARCH, trials=(FINISHED,)))
    write_search(tmp_path, SEARCH)
    assert read_search(tmp_path) == SEARCH


def test_sweep_without_search_has_none(tmp_path: Path) -> None:
    assert read_search(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"directions": ("maximize",)}, "directions must be 2, but got 1"),
        ({"directions": ("maximize", "up")}, "must be one of maximize, minimize, but got up"),
        ({"n_trials": "3"}, "n_trials must be of type int, but got '3'"),
        ({"trials": (FINISHED, FINISHED)}, r"numbers of their own, but got \[0, 0\]"),
        ({"trials": (PRUNED,)}, "confirmed must be trials of the search, but got 0"),
    ],
    ids=["count", "direction", "type", "twice", "unknown"],
)
def test_search_with_parts_that_disagree_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        replace(SEARCH, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "done"}, "status must be one of finished, .*, but got done"),
        ({"values": (0.5,)}, "trial 0's values must be 2, but got 1"),
        ({"metrics": (0.5,)}, "trial 0's metrics must be 2, but got 1"),
        ({"folders": ()}, "trial 0's folders must be 2, but got 0"),
        ({"params": {"lr": None}}, "params must be of type"),
    ],
    ids=["status", "values", "metrics", "folders", "params"],
)
def test_trial_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        replace(SEARCH, trials=(replace(FINISHED, **changes),))


@pytest.mark.parametrize(
    ("before", "after", "error", "message"),
    [
        ('"rank.min": 1', '"rank.min": 2', DamagedRecordError, "as it was written"),
        ('"format_version": 1', '"format_version": 9', RecordError, "as it was written"),
        ("{", "", DamagedRecordError, "can't be read"),
    ],
    ids=["value", "version", "cut"],
)
def test_changed_file_is_refused(
    before: str, after: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    write_search(tmp_path, SEARCH)
    path = tmp_path / SEARCH_FILE
    path.write_text(path.read_text().replace(before, after, 1))
    with pytest.raises(error, match=message):
        read_search(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"format_version": 999}, "must have format version 1, but got 999"),
        ({"format_version": 1}, "is no record of a search: 'trials'"),
        ({"format_version": 1, "trials": [1], "confirmed": []}, "is no record of a search"),
        ({"format_version": 1, "trials": [], "confirmed": []}, "is no record of a search"),
    ],
    ids=["version", "no_trials", "no_object", "no_fields"],
)
def test_file_of_another_kind_is_refused(
    content: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / SEARCH_FILE).write_text(to_checked_json(content))
    with pytest.raises(RecordError, match=message):
        read_search(tmp_path)
