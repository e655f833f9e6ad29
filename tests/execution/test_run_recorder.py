"""What is kept of a training: the reported epoch, its state, predictions and the record."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file as load_tensors

from lora_sweep.errors import ClaimedElsewhereError
from lora_sweep.execution.display import Display
from lora_sweep.execution.origin import RunOrigin
from lora_sweep.execution.pack_recorder import PackRecorder
from lora_sweep.execution.run_recorder import RunRecorder
from lora_sweep.store.checkpoint import read_checkpoint
from lora_sweep.store.predictions import DevLabels, read_predictions
from lora_sweep.store.record import RunRecord, read_failure, read_pruned, read_result
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.training.evaluation import Evaluation
from lora_sweep.training.snapshot import RunSnapshot

ORIGIN = RunOrigin(
    settings={"seed": 0},
    fingerprint="f",
    model_fingerprint="a",
    corpus_fingerprint="b",
    metric="accuracy",
    matrices=["x", "y"],
    n_trained_params={"total": 3},
    device="cpu",
    versions={},
    git_commit=None,
    label_names=["no", "yes"],
)
DEV = DevLabels({"near": np.array([0]), "far": np.array([1, 1])}, ("near",))


def evaluation(
    epoch: int, metric: float, selection: float | None, predicted: list[int]
) -> Evaluation:
    metrics = {"accuracy": metric}
    if selection is not None:
        metrics["accuracy/selection"] = selection
    return Evaluation(
        epoch=epoch,
        step=epoch,
        train_loss=0.5,
        metrics=metrics,
        predictions={"near": np.array(predicted[:1]), "far": np.array(predicted[1:])},
        alpha=0.5,
        budget_params=8.0,
        budget_over_cap_params=0.0,
        budget_spent_params=8,
        ranks=[2.0, 2.0],
        integer_ranks=[2, 2],
    )


def kept(
    path: Path,
    dev: list[float],
    *,
    selection: list[float] | None = None,
    losses: Sequence[tuple[float | None, float | None]] = (),
    last: tuple[int, ...] = (0, 1, 1),
) -> RunRecord:
    """The record of a training with these headline metrics, an epoch each."""
    folder = RunFolder(path)
    folder.ready()
    recorder = RunRecorder(folder, ORIGIN, DEV)
    for epoch, metric in enumerate(dev, 1):
        chosen = None if selection is None else selection[epoch - 1]
        predicted = list(last) if epoch == len(dev) else [0, 1, 0]
        state = {"R": torch.full((2,), float(epoch))}
        told = evaluation(epoch, metric, chosen, predicted)
        if losses:
            of_dev, of_selection = losses[epoch - 1]
            told = replace(told, dev_loss=of_dev, selection_loss=of_selection)
        recorder.on_evaluation(told, state)
    recorder.finish()
    assert recorder.record is not None
    return recorder.record


@pytest.mark.parametrize(
    ("dev", "best"),
    [([0.5], 1), ([0.1, 0.4, 0.3], 2), ([0.4, 0.4, 0.4], 1), ([-0.2, -0.1], 2), ([0.0, 0.0], 1)],
    ids=["one", "middle", "first_of_equals", "negative", "zero"],
)
def test_best_epoch_is_first_of_the_highest(dev: list[float], best: int, tmp_path: Path) -> None:
    record = kept(tmp_path, dev)
    assert (record.best_epoch, record.best_metric) == (best, dev[best - 1])
    assert record.final_metric == dev[-1]
    assert (record.selected_epoch, record.selected_metric) == (None, None)
    assert load_tensors(tmp_path / "state.safetensors")["R"].tolist() == [best, best]


@pytest.mark.parametrize(
    ("dev", "losses", "best"),
    [
        ([0.4, 0.4, 0.4], [0.9, 0.5, 0.7], 2),
        ([0.4, 0.5, 0.4], [0.1, 0.9, 0.1], 2),  # the metric comes first
        ([0.4, 0.4, 0.4], [0.7, 0.5, 0.5], 2),
        ([0.4, 0.4, 0.1], [None, 8.0, 0.1], 2),  # not finite is worst
        ([0.4, 0.4, 0.1], [None, None, 0.1], 1),
    ],
    ids=["lowest", "metric_first", "first_of_equals", "not_finite", "none_finite"],
)
def test_lower_loss_decides_between_equal_metrics(
    dev: list[float], losses: list[float | None], best: int, tmp_path: Path
) -> None:
    record = kept(tmp_path, dev, losses=[(loss, None) for loss in losses])
    assert (record.best_epoch, record.best_metric) == (best, dev[best - 1])
    assert [epoch.dev_loss for epoch in read_result(tmp_path / "result.json").epochs] == losses
    assert load_tensors(tmp_path / "state.safetensors")["R"].tolist() == [best, best]


@pytest.mark.parametrize(("best_from", "best"), [("first", 1), ("settled", 4)])
def test_state_is_of_the_best_epoch_that_counts(best_from: str, best: int, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.ready()
    origin = replace(ORIGIN, settings={"seed": 0, "training.best_from": best_from})
    recorder = RunRecorder(folder, origin, DEV)
    for epoch, metric in enumerate([0.9, 0.8, 0.5, 0.6], 1):
        told = replace(evaluation(epoch, metric, None, [0, 1, 0]), settled=epoch > 2)
        recorder.on_evaluation(told, {"R": torch.full((2,), float(epoch))})
        # until something has settled the best so far is reported
        assert recorder.reported_metric == (0.9 if best == 1 else [0.9, 0.9, 0.5, 0.6][epoch - 1])
    recorder.finish()
    assert read_result(tmp_path / "result.json").best_epoch == best
    assert load_tensors(tmp_path / "state.safetensors")["R"].tolist() == [best, best]


def test_loss_of_the_split_that_chooses_decides(tmp_path: Path) -> None:
    record = kept(
        tmp_path,
        [0.7, 0.7, 0.7],
        selection=[0.6, 0.6, 0.5],
        losses=[(0.3, 0.9), (0.4, 0.8), (0.2, 0.1)],
    )
    assert (record.best_epoch, record.selected_epoch) == (3, 2)
    assert load_tensors(tmp_path / "state.safetensors")["R"].tolist() == [2, 2]


def test_selection_split_decides_the_reported_epoch(tmp_path: Path) -> None:
    record = kept(tmp_path, [0.3, 0.9, 0.2], selection=[0.6, 0.5, 0.6])
    assert (record.best_epoch, record.best_metric) == (2, 0.9)
    assert (record.selected_epoch, record.selected_metric) == (1, 0.3)
    assert (record.reported_epoch, record.reported_metric) == (1, 0.3)
    assert load_tensors(tmp_path / "state.safetensors")["R"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("last", "collapsed"),
    [((1, 1, 1), True), ((0, 0, 0), True), ((0, 1, 1), False), ((0, 1, 0), False)],
    ids=["ones", "zeros", "parts_differ", "both"],
)
def test_collapse_is_one_class_at_the_end(
    last: tuple[int, ...], collapsed: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert kept(tmp_path, [0.6, 0.5], last=last).collapsed is collapsed
    said = ", collapsed at the end: the last epoch predicts one class only"
    assert caplog.messages[-1].endswith(f"final 50.00{said if collapsed else ''}")


def test_record_and_predictions_are_on_disk(tmp_path: Path) -> None:
    record = kept(tmp_path, [0.5, 0.6], last=(1, 1, 0))
    dev = read_predictions(tmp_path / "predictions.safetensors")
    assert read_result(tmp_path / "result.json") == record
    assert {part: rows.tolist() for part, rows in dev.parts.items()} == {
        "near": [[0], [1]],
        "far": [[1, 0], [1, 0]],
    }


def test_history_has_a_line_an_evaluation(tmp_path: Path) -> None:
    record = kept(tmp_path, [0.5, 0.6])
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [entry["kind"] for entry in entries] == ["epoch", "epoch"]
    assert [entry["metrics"] for entry in entries] == [e.metrics for e in record.epochs]


def test_run_whose_folder_is_deleted_fails_and_the_others_go_on(tmp_path: Path) -> None:
    recorders = [RunRecorder(RunFolder(tmp_path / name), ORIGIN, DEV) for name in ("a-0", "b-0")]
    for recorder in recorders:
        recorder.folder.ready()
    pack = PackRecorder(recorders, Display("a pack", 4, unit="step"))
    (tmp_path / "a-0").rmdir()
    for run in (0, 1):
        pack.on_ranks(run, 0, None, 8.0, [2.0, 2.0])
        pack.on_evaluation(run, evaluation(1, 0.5, None, [0, 1, 0]), {"R": torch.zeros(2)})
        pack.on_snapshot(run, RunSnapshot(step=3, n_epochs=1, r=2, tensors={}))
    pack.finish()
    assert recorders[0].record is None
    assert "its folder was deleted while it trained" in str(recorders[0].error)
    assert recorders[1].record is not None
    assert [path.name for path in tmp_path.iterdir()] == ["b-0"]


def test_time_is_said_of_the_pack_and_not_of_each_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recorders = [RunRecorder(RunFolder(tmp_path / name), ORIGIN, DEV) for name in ("a-0", "b-0")]
    for recorder in recorders:
        recorder.folder.ready()
        recorder.started -= 18
    pack = PackRecorder(recorders, Display("a pack", 4, unit="step"))
    for run in (0, 1):
        pack.on_evaluation(run, evaluation(1, 0.5, None, [0, 1, 0]), {"R": torch.zeros(2)})
    pack.finish()
    with_time = [line for line in caplog.messages if re.search(r"\b\d+ s\b", line)]
    assert with_time == ["2 runs together trained in 18 s"]


def test_runs_that_another_process_took_over_are_left_to_it(tmp_path: Path) -> None:
    recorder, claim = RunRecorder(RunFolder(tmp_path), ORIGIN, DEV), SimpleNamespace(is_held=True)
    pack = PackRecorder(
        [recorder],
        Display("a pack", 4, unit="step"),
        claim=cast(Any, claim),
        stop_policy=Strict(1.0),
    )
    told = evaluation(1, 0.5, None, [0, 1, 0]), {"R": torch.zeros(2)}
    shot = RunSnapshot(step=3, n_epochs=1, r=2, tensors={})
    pack.on_evaluation(0, *told)
    pack.on_snapshot(0, shot)
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    claim.is_held = False
    for write in (
        lambda: pack.on_ranks(0, 4, None, 8.0, [2.0, 2.0]),
        lambda: pack.on_evaluation(0, *told),
        lambda: pack.on_snapshot(0, shot),
        lambda: pack.on_failure(0, "loss became nan at step 4"),
        pack.leaving,
        pack.finish,
    ):
        with pytest.raises(ClaimedElsewhereError, match="1 run was taken over"):
            write()
    assert left == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any("checkpoints" in str(path) for path in left)


def test_recorder_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    straight = kept(tmp_path / "straight", [0.3, 0.9, 0.2])
    folder = RunFolder(tmp_path / "stopped")
    folder.ready()
    first = RunRecorder(folder, ORIGIN, DEV)
    for epoch, metric in ((1, 0.3), (2, 0.9)):
        state = {"R": torch.full((2,), float(epoch))}
        first.on_evaluation(evaluation(epoch, metric, None, [0, 1, 0]), state)
        first.on_snapshot(RunSnapshot(step=epoch, n_epochs=epoch, r=2, tensors={}))
    first.folder.add_history({"kind": "ranks", "step": 2})  # behind the last checkpoint
    read = read_checkpoint(folder.checkpoints, (2, 2), ORIGIN.fingerprint)
    second = RunRecorder(folder, ORIGIN, DEV, checkpoint=read)
    last = evaluation(3, 0.2, None, [0, 1, 1])
    second.on_evaluation(last, {"R": torch.full((2,), 3.0)})
    second.finish()
    assert second.record is not None
    assert replace(second.record, wall_seconds=0) == replace(straight, wall_seconds=0)
    for name in ("history.jsonl", "state.safetensors", "predictions.safetensors"):
        ours, expected = ((tmp_path / run / name).read_bytes() for run in ("stopped", "straight"))
        assert ours == expected, name


def test_failed_run_leaves_no_result(tmp_path: Path) -> None:
    recorder = RunRecorder(RunFolder(tmp_path), ORIGIN, DEV)
    recorder.on_evaluation(evaluation(1, 0.5, None, [0, 1, 0]), {"R": torch.zeros(2)})
    pack = PackRecorder([recorder], Display("a pack", 4, unit="step"))
    pack.on_failure(0, "loss became nan at step 3")
    pack.finish()
    assert recorder.record is None
    assert read_failure(tmp_path / "failure.json").error == "loss became nan at step 3"
    assert {file.name for file in tmp_path.iterdir()} == {"failure.json", "history.jsonl"}


class Strict:
    """A stop_policy that dismisses every run below a bar, and notes what it was asked."""

    def __init__(self, bar: float) -> None:
        self.bar = bar
        self.asked: list[tuple[int, dict[str, float]]] = []

    def stopped(self, epoch: int, metrics: Mapping[str, float]) -> list[str]:
        self.asked.append((epoch, dict(metrics)))
        return [name for name, metric in metrics.items() if metric < self.bar]


def test_dismissed_run_keeps_its_checkpoint_and_says_so(tmp_path: Path) -> None:
    recorders = [RunRecorder(RunFolder(tmp_path / name), ORIGIN, DEV) for name in ("a-0", "b-0")]
    stop_policy = Strict(0.5)
    pack = PackRecorder(recorders, Display("a pack", 4, unit="step"), stop_policy=stop_policy)
    for run, metric in enumerate((0.4, 0.6)):
        recorders[run].folder.ready()
        pack.on_evaluation(run, evaluation(1, metric, None, [0, 1, 0]), {"R": torch.zeros(2)})
        pack.on_snapshot(run, RunSnapshot(step=3, n_epochs=1, r=2, tensors={}))
    assert pack.leaving() == {0}
    pack.finish()
    assert stop_policy.asked == [(1, {"a-0": 0.4, "b-0": 0.6})]
    pruned = read_pruned(tmp_path / "a-0" / "pruned.json")
    assert (pruned.settings, pruned.epoch, pruned.metric) == (ORIGIN.settings, 1, 0.4)
    assert [record is None for record in (recorders[0].record, recorders[1].record)] == [
        True,
        False,
    ]
    assert [path.name for path in tmp_path.glob("*/checkpoints/*")] == [
        "0001-000000003.safetensors"
    ]
    assert not (tmp_path / "b-0" / "pruned.json").exists()


def test_stop_policy_sees_what_would_be_reported(tmp_path: Path) -> None:
    recorder = RunRecorder(RunFolder(tmp_path), ORIGIN, DEV)
    stop_policy = Strict(0.0)
    pack = PackRecorder([recorder], Display("a pack", 4, unit="step"), stop_policy=stop_policy)
    for epoch, metric in ((1, 0.7), (2, 0.3)):
        pack.on_evaluation(0, evaluation(epoch, metric, None, [0, 1, 0]), {"R": torch.zeros(2)})
        assert pack.leaving() == set()
    assert stop_policy.asked == [(1, {tmp_path.name: 0.7}), (2, {tmp_path.name: 0.7})]
