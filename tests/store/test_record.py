"""Records of runs: to JSON and back, and what is refused."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_sweep.errors import DamagedRecordError, RecordError
from lora_sweep.files import to_checked_json
from lora_sweep.store.calibration import CalibrationRecord
from lora_sweep.store.epochs import summary_of
from lora_sweep.store.record import (
    FORMAT_VERSION,
    FailureRecord,
    PrunedRecord,
    RunRecord,
    read_failure,
    read_pruned,
    read_result,
)

V = FORMAT_VERSION
RESULT_FAULTS: list[tuple[str, str]] = [
    ("", "can't be read"),
    ("{", "can't be read"),
    ("[1]", "must hold a JSON object, but got list"),
    ("{}", "must have a checksum, but got none"),
    (to_checked_json({"a": 1}), f"must have format version {V}, but got None"),
    (to_checked_json({"format_version": 999}), f"must have format version {V}, but got 999"),
    (to_checked_json({"format_version": V}), "is no record of a run: 'epochs'"),
    (to_checked_json({"format_version": V, "epochs": []}), "is no record of a run"),
    (to_checked_json({"format_version": V, "epochs": [{}]}), "is no record of a run"),
]
IDS = [
    "empty",
    "cut",
    "list",
    "no_sum",
    "no_version",
    "other_version",
    "no_epochs",
    "no_fields",
    "epoch",
]


def test_result_survives_the_way_through_json(record: RunRecord, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(record.to_json(), encoding="utf-8")
    assert read_result(path) == record
    assert json.loads(path.read_text())["format_version"] == FORMAT_VERSION


def test_calibration_survives_the_way_through_json(record: RunRecord, tmp_path: Path) -> None:
    calibrated = replace(record, calibration=CalibrationRecord([[0.5], [1e-30]], [3, 1]))
    path = tmp_path / "result.json"
    path.write_text(calibrated.to_json(), encoding="utf-8")
    assert read_result(path) == calibrated != record


def test_failure_survives_the_way_through_json(tmp_path: Path) -> None:
    failure = FailureRecord({"lr": 0.1, "model.path": None}, "loss became nan")
    path = tmp_path / "failure.json"
    path.write_text(failure.to_json(), encoding="utf-8")
    assert read_failure(path) == failure


def test_pruned_survives_the_way_through_json(tmp_path: Path) -> None:
    pruned = PrunedRecord({"lr": 0.1, "model.path": None}, 2, 0.25, "below the median")
    path = tmp_path / "pruned.json"
    path.write_text(pruned.to_json(), encoding="utf-8")
    assert read_pruned(path) == pruned


@pytest.mark.parametrize(("content", "message"), RESULT_FAULTS, ids=IDS)
def test_broken_result_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(RecordError, match=message):
        read_result(path)


@pytest.mark.parametrize("read", [read_result, read_failure, read_pruned])
def test_missing_or_binary_record_is_refused(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"nothing\.json can't be read"):
        read(tmp_path / "nothing.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match=r"binary\.json can't be read"):
        read(tmp_path / "binary.json")


def test_failure_with_other_fields_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "failure.json"
    path.write_text(to_checked_json({"format_version": FORMAT_VERSION, "reason": "x"}))
    with pytest.raises(RecordError, match="is no record of a failure"):
        read_failure(path)


EDITED: list[tuple[dict[str, Any], str]] = [
    ({"best_metric": 0.99}, "best_metric must be 0.7, as its epochs say, but got 0.99"),
    ({"best_metric": 5.3033}, "best_metric must be 0.7"),
    ({"best_epoch": 1}, "best_epoch must be 2"),
    ({"final_metric": 1e300}, "final_metric must be 0.7"),
    ({"selected_metric": 0.7, "selected_epoch": 2}, "selected_metric must be None"),
    ({"matrices": ["layer.0"]}, "epoch 1 must have 1 ranks"),
    ({"wall_seconds": -1.0}, "wall_seconds must be at least 0"),
    ({"wall_seconds": math.inf}, "wall_seconds must be at least 0"),
    ({"collapsed": 1}, "collapsed must be of type bool"),
    ({"calibration": CalibrationRecord([[1.0]], [2, 2])}, "calibration.scores must be one a mat"),
    ({"calibration": CalibrationRecord([[1.0]] * 2, [2])}, "calibration.ranks must be one a mat"),
    ({"calibration": CalibrationRecord([[1.0]] * 2, [2, 1.5])}, "ranks must be of type"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("changes", "said"), EDITED, ids=lambda value: str(value)[:40])
def test_record_must_follow_from_its_own_epochs(
    changes: dict[str, Any], said: str, record: RunRecord, tmp_path: Path
) -> None:
    """With a checksum that fits, as whoever knows how can write one."""
    path = tmp_path / "result.json"
    path.write_text(replace(record, **changes).to_json(), encoding="utf-8")
    with pytest.raises(DamagedRecordError, match=re.escape(said)):
        read_result(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("accuracy", 1.01), ("accuracy", -0.01), ("matthews_correlation", -1.01), ("f1/part", 7.0)],
)
def test_metric_must_be_one_that_can_be(
    name: str, value: float, record: RunRecord, tmp_path: Path
) -> None:
    epochs = [replace(epoch, metrics={"accuracy": 0.5, name: value}) for epoch in record.epochs]
    path = tmp_path / "result.json"
    own = summary_of(epochs, "accuracy")
    path.write_text(replace(record, epochs=epochs, **own).to_json(), encoding="utf-8")
    with pytest.raises(DamagedRecordError, match=f"a {name} that can be, but got {value}"):
        read_result(path)


def test_summary_is_of_the_first_best_epoch_and_the_selected_one(record: RunRecord) -> None:
    """Dev 0.5, 0.7, 0.7; on the selection split the first two are best, so the first counts."""
    values = [(0.5, 0.9), (0.7, 0.9), (0.7, 0.1)]
    epochs = [
        replace(record.epochs[0], epoch=i, metrics={"accuracy": dev, "accuracy/selection": held})
        for i, (dev, held) in enumerate(values, 1)
    ]
    assert summary_of(epochs, "accuracy") == {
        "best_metric": 0.7,
        "best_epoch": 2,
        "final_metric": 0.7,
        "selected_metric": 0.5,
        "selected_epoch": 1,
    }


def test_reported_epoch_is_the_selected_one(record: RunRecord) -> None:
    assert (record.reported_metric, record.reported_epoch) == (0.7, 2)
    selected = replace(record, selected_metric=0.0, selected_epoch=1)
    assert (selected.reported_metric, selected.reported_epoch) == (0.0, 1)


KEPT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@KEPT
@given(data=st.data())
def test_other_bytes_are_never_another_record(
    data: st.DataObject, record: RunRecord, tmp_path: Path
) -> None:
    """One byte changed anywhere, or the end cut off."""
    path = tmp_path / "result.json"
    whole = record.to_json().encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255))
    harmed = whole[:at] if data.draw(st.booleans()) else whole[:at] + bytes([other])
    path.write_bytes(harmed if len(harmed) == at else harmed + whole[at + 1 :])
    try:
        read = read_result(path)
    except RecordError:
        return
    assert read == record


@KEPT
@given(value=JSON, place=st.integers(0, 18))
def test_other_values_are_kept_or_refused(
    value: Any, place: int, record: RunRecord, tmp_path: Path
) -> None:
    path = tmp_path / "result.json"
    fields = json.loads(record.to_json())
    del fields["sha256"]
    name = list(fields)[place % len(fields)]
    path.write_text(to_checked_json(fields | {name: value}), encoding="utf-8")
    try:
        read = read_result(path)
    except RecordError:
        return
    assert name == "format_version" or getattr(read, name) == value


def test_deeply_nested_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("[" * 100_000)
    with pytest.raises(RecordError, match="can't be read"):
        read_result(path)
