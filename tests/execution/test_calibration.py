"""Runs whose ranks come from the data: frozen, or where the logits start."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lora_sweep.allocation import calibration as registry
from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.allocation.calibration_inputs import CalibrationInputs
from lora_sweep.config.run import RunConfig
from lora_sweep.errors import LoraSweepError
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.execution.pack_recorder import PackRecorder
from lora_sweep.interrupt import StoppedError
from lora_sweep.store.finished import FinishedRun, read_finished

Train = Callable[..., list[FinishedRun]]
STILL = ("lr=0", "training.epochs_discrete=0")
FEW = "init.batches=2"
RANGE = ("rank.min=1", "rank.max=8", "rank.average=5")


@pytest.fixture
def train(tiny_run: list[str], tmp_path: Path, composed: Callable[..., RunConfig]) -> Train:
    """Cells -> their finished runs, trained in packs of so many; the cache is the test's own."""

    def run(*cells: list[str], pack_size: int = 4, sweep: str = "tiny") -> list[FinishedRun]:
        own = [f"paths.sweep={sweep}", f"paths.cache={tmp_path / 'cache'}", *RANGE]
        configs = [composed(*tiny_run, *own, *cell) for cell in cells]
        values = run_cells(configs, Options(pack_size=pack_size))
        assert not [value for value in values if isinstance(value, LoraSweepError)]
        names = [name for config in configs for name in runs_of(config)]
        return [read_finished(tmp_path / "outputs" / sweep / name) for name in names]

    return run


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the calibrations that were measured so far."""
    names: list[str] = []

    def counting(name: str) -> Callable[[CalibrationInputs], Tensor]:
        scores = CALIBRATIONS[name].scores

        def count(inputs: CalibrationInputs) -> Tensor:
            names.append(name)
            return scores(inputs)

        return count

    for name in list(CALIBRATIONS):
        own = replace(CALIBRATIONS[name], scores=counting(name))
        monkeypatch.setitem(registry.CALIBRATIONS, name, own)
    yield names


def ranks_of(run: FinishedRun) -> list[int]:
    assert run.record.calibration is not None
    return run.record.calibration.ranks


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_frozen_ranks_are_those_of_the_data_throughout(name: str, train: Train) -> None:
    (run,) = train([f"init={name}", "init.freeze=true", FEW])
    ranks = ranks_of(run)
    assert [epoch.integer_ranks for epoch in run.record.epochs] == [ranks] * 2
    assert sum(rank**2 for rank in ranks) == 8 * 5**2
    assert min(ranks) >= 1 and max(ranks) <= 8 and len(set(ranks)) > 1
    assert "logits" not in run.state and run.record.n_trained_params["logits"] == 0
    assert run.folder.name.startswith(f"{name}-frozen-r1_8_5-seed0-")
    assert run.record.settings["init.batches"] == 2


@pytest.mark.parametrize("mode", ["capped", "published", "soft_topk"])
def test_logits_start_at_the_ranks_of_the_data(mode: str, train: Train) -> None:
    still, frozen = train(
        ["init=gora", f"allocation={mode}", FEW, *STILL], ["init=gora", "init.freeze=true", FEW]
    )
    ranks = ranks_of(frozen)
    assert ranks_of(still) == ranks
    for epoch in still.record.epochs:
        assert epoch.integer_ranks == ranks
        assert epoch.ranks == pytest.approx(ranks, abs=0.25 + 1e-4)
    assert still.state["logits"].std() > 0


def test_ranks_from_the_data_move_once_logits_are_trained(train: Train) -> None:
    (run,) = train(["init=fisher", "lr=1", "training.epochs_discrete=0", FEW])
    assert run.record.epochs[-1].ranks != pytest.approx(ranks_of(run), abs=0.3)


def test_pack_of_any_size_has_the_same_ranks_to_the_bit(
    train: Train, tmp_path: Path, measured: list[str]
) -> None:
    kinds = [f"init={name}" for name in CALIBRATIONS]
    cells = [
        *([kind, "init.freeze=true", FEW] for kind in kinds),
        *([kind, FEW, "seed=1"] for kind in kinds),
        *(["init=uniform"], ["init=gora", "allocation=soft_topk", FEW]),
    ]
    together = train(*cells, pack_size=8, sweep="together")
    shutil.rmtree(tmp_path / "cache" / "calibrations")
    alone = train(*cells, pack_size=1, sweep="alone")
    assert sorted(measured) == sorted([*CALIBRATIONS] * 4)  # three of two seeds, twice
    for own, other in zip(together, alone, strict=True):
        assert own.record.calibration == other.record.calibration
        for one, two in zip(own.record.epochs, other.record.epochs, strict=True):
            assert one.train_loss == pytest.approx(two.train_loss, abs=1e-5)


def test_scores_are_measured_once_for_all_that_share_them(
    train: Train, tmp_path: Path, measured: list[str]
) -> None:
    train(["init=fisher", FEW, "lr=0.1"], ["init=fisher", "init.freeze=true", FEW])
    train(["init=fisher", FEW, "lr=0.2", "rank.average=4"], sweep="another")
    assert measured == ["fisher"]
    assert len(list((tmp_path / "cache" / "calibrations").glob("*.safetensors"))) == 1
    train(["init=fisher", FEW, "seed=1"], ["init=fisher", "init.batches=1"], sweep="others")
    assert measured == ["fisher"] * 3


def test_resumed_run_keeps_its_ranks_and_measures_nothing(
    train: Train, tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [["init=gora", "init.freeze=true", FEW], ["init=activations", FEW, "lr=0.1"]]
    whole = train(*cells, sweep="whole")
    on_step = PackRecorder.on_step

    def killed_at_step_4(recorder: PackRecorder, step: int) -> None:
        on_step(recorder, step)
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched, pytest.raises(StoppedError):
        patched.setattr(PackRecorder, "on_step", killed_at_step_4)
        train(*cells, sweep="stopped")
    shutil.rmtree(tmp_path / "cache" / "calibrations")
    measured.clear()
    resumed = train(*cells, sweep="stopped")
    assert measured == []
    for own, other in zip(resumed, whole, strict=True):
        assert own.record.calibration == other.record.calibration
        assert own.record.epochs == other.record.epochs
        assert all(torch.equal(own.state[name], other.state[name]) for name in own.state)
