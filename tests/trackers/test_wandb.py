"""What Weights & Biases leaves of a run offline, read from its own file."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.trackers.wandb import WandbTracker

FILE_HEADER, BLOCK, RECORD_HEADER = 7, 32768, 7
LAST_PIECES = (1, 4)  # of a record: the only one, or the last


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves the test's folder, whatever the machine is set to."""
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_MODE", "online")  # the tracker's own choice must win


def records(file: Path) -> Iterator[Any]:
    """The records of a run's file: pieces of LevelDB's log format, a protocol buffer each."""
    from wandb.proto import wandb_internal_pb2

    content, at, whole = file.read_bytes(), FILE_HEADER, b""
    while at + RECORD_HEADER <= len(content):
        if BLOCK - at % BLOCK < RECORD_HEADER:
            at += BLOCK - at % BLOCK
        _, length, kind = struct.unpack("<IHB", content[at : at + RECORD_HEADER])
        if at + RECORD_HEADER + length > len(content):
            return  # it is being written
        whole += content[at + RECORD_HEADER : at + RECORD_HEADER + length]
        at += RECORD_HEADER + length
        if kind in LAST_PIECES:
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def as_dict(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def read_back(sweep: Path, name: str) -> dict[str, Any]:
    """What the run of that name has left, once it is all there.

    Another process of wandb's writes it, and may end a moment after the tracker.
    """
    until = time.monotonic() + 30
    while "exit_code" not in (found := _written(sweep, name)):
        if time.monotonic() > until:
            raise FileNotFoundError(f"{name} has no exit code: {found}")
        time.sleep(0.1)
    return found


def _written(sweep: Path, name: str) -> dict[str, Any]:
    """Config, points, summary and exit code of the run of that name, as far as they are there."""
    for file in sweep.glob("wandb/offline-run-*/run-*.wandb"):
        found: dict[str, Any] = {"points": [], "summary": {}}
        for record in records(file):
            match record.WhichOneof("record_type"):
                case "run" if record.run.display_name:
                    found |= {"name": record.run.display_name, "project": record.run.project}
                    found["group"] = record.run.run_group
                    found["config"] = as_dict(record.run.config.update)
                case "history":
                    values = as_dict(record.history.item)
                    step = values.get("_step", record.history.step.num)
                    own = {key: value for key, value in values.items() if key[0] != "_"}
                    found["points"].append((step, own))
                case "summary":
                    found["summary"] |= as_dict(record.summary.update)
                case "exit":
                    found["exit_code"] = record.exit.exit_code
        if found.get("name") == name:
            return found
    return {}


@pytest.mark.slow
def test_runs_of_a_pack_are_told_apart_and_grouped_by_cell(tmp_path: Path) -> None:
    sweep = tmp_path / "demo"
    trackers = []
    names = ("randn-r8-lr0.1-seed0-h", "randn-r8-lr0.1-seed1-i")
    for seed, (name, loss) in enumerate(zip(names, (1.0, 2.0), strict=True)):
        (sweep / name).mkdir(parents=True)
        settings = {"lr": 0.1, "init": "randn", "seed": seed}
        trackers.append((WandbTracker(sweep / name, settings, "randn-r8-lr0.1"), loss))
    for step in (1, 5):
        for tracker, loss in trackers:
            tracker.log(step, {"loss/train": loss / step})
    assert not (sweep / "wandb").exists()
    for (tracker, _), outcome in zip(trackers, ("finished", "failed"), strict=True):
        tracker.finish(outcome, {"summary/best_metric": 0.75})
        tracker.close()
    first, second = (read_back(sweep, name) for name in names)
    assert first["group"] == second["group"] == "randn-r8-lr0.1"
    assert first["points"] == [(1, {"loss/train": 1.0}), (5, {"loss/train": 0.2})]
    assert second["points"] == [(1, {"loss/train": 2.0}), (5, {"loss/train": 0.4})]
    assert (first["project"], first["config"]["lr"], first["config"]["init"]) == (
        *("demo", 0.1, "randn"),
    )
    assert (first["summary"]["outcome"], first["summary"]["summary/best_metric"]) == (
        *("finished", 0.75),
    )
    assert (first["exit_code"], second["exit_code"]) == (0, 1)


@pytest.mark.slow
def test_run_that_is_trained_again_is_one_run(tmp_path: Path) -> None:
    """A cell's mean over its seeds would else count the failed training too."""
    folder = tmp_path / "demo" / "randn-r8-lr0.1-seed0-h"
    folder.mkdir(parents=True)
    for outcome in ("failed", "finished"):
        tracker = WandbTracker(folder, {"seed": 0}, "randn-r8-lr0.1")
        tracker.log(1, {"loss/train": 1.0})
        tracker.finish(outcome, {})
        assert read_back(tmp_path / "demo", folder.name)["exit_code"] == int(outcome == "failed")
        (left,) = (tmp_path / "demo").glob("wandb/offline-run-*")
        assert left.name.endswith(f"-{(folder / 'wandb_id').read_text()}")


def test_run_that_is_stopped_writes_nothing(tmp_path: Path) -> None:
    """It goes on later, and is told whole then."""
    tracker = WandbTracker(tmp_path / "a", {}, "a")
    tracker.log(1, {"loss/train": 1.0})
    tracker.close()
    assert not (tmp_path / "wandb").exists()
