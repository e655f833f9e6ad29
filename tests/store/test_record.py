"""Records of runs: to JSON and back, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_sweep.errors import RecordError
from lora_sweep.store.record import (
    FORMAT_VERSION,
    FailureRecord,
    PrunedRecord,
    RunRecord,
    read_failure,
    read_pruned,
    read_result,
)

RESULT_FAULTS: list[tuple[str, str]] = [
    ("", "can't be read"),
    ("{", "can't be read"),
    ("[1]", "must hold a JSON object, but got list"),
    ("{}", f"must have format version {FORMAT_VERSION}, but got None"),
    ('{"format_version": 999}', f"must have format version {FORMAT_VERSION}, but got 999"),
    (f'{{"format_version": {FORMAT_VERSION}}}', "is no record of a run: 'epochs'"),
    (f'{{"format_version": {FORMAT_VERSION}, "epochs": []}}', "is no record of a run"),
    (f'{{"format_version": {FORMAT_VERSION}, "epochs": [{{}}]}}', "is no record of a run"),
]
IDS = ["empty", "cut", "list", "no_version", "other_version", "no_epochs", "no_fields", "epoch"]


def test_result_survives_the_way_through_json(record: RunRecord, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(record.to_json(), encoding="utf-8")
    assert read_result(path) == record
    assert json.loads(path.read_text())["format_version"] == FORMAT_VERSION


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
    path.write_text(json.dumps({"format_version": FORMAT_VERSION, "reason": "x"}))
    with pytest.raises(RecordError, match="is no record of a failure"):
        read_failure(path)


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
    path.write_text(json.dumps(fields | {name: value}), encoding="utf-8")
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
