"""Runs that a stop_policy ends early, with real training: what is left, and how they go on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import PrunedError
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.store.record import read_result

Composed = Callable[..., RunConfig]


class AfterFirstEpoch:
    """Dismisses the runs of one seed after the first epoch."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stopped(self, epoch: int, metrics: Mapping[str, float]) -> list[str]:
        return [name for name in metrics if epoch == 1 and f"-seed{self.seed}-" in name]


@pytest.fixture
def cells(tiny_run: list[str], composed: Composed) -> Callable[[str], list[RunConfig]]:
    """Three runs of three epochs, in a sweep of that name."""

    def of(sweep: str) -> list[RunConfig]:
        own = [*tiny_run, f"paths.sweep={sweep}", "training.epochs=3"]
        return [composed(*own, f"seed={seed}") for seed in range(3)]

    return of


def test_pruned_run_leaves_and_goes_on_when_asked_for(
    cells: Callable[[str], list[RunConfig]], tmp_path: Path
) -> None:
    whole = run_cells(cells("whole"), Options(pack_size=3))
    ended = run_cells(cells("pruned"), Options(pack_size=3, stop_policy=AfterFirstEpoch(1)))
    assert isinstance(ended[1], PrunedError)
    assert (ended[0], ended[2]) == (whole[0], whole[2])
    (pruned,) = (tmp_path / "outputs" / "pruned").glob("*-seed1-*")
    assert [path.name for path in pruned.glob("checkpoints/*")] == ["0001-000000003.safetensors"]
    assert run_cells(cells("pruned"), Options(pack_size=3)) == pytest.approx(whole, abs=1e-6)
    records = [
        replace(read_result(path), wall_seconds=0.0)
        for path in sorted((tmp_path / "outputs").glob("*/*-seed1-*/result.json"))
    ]
    assert [epoch.integer_ranks for epoch in records[0].epochs] == [
        epoch.integer_ranks for epoch in records[1].epochs
    ]
    assert not (pruned / "pruned.json").exists()
