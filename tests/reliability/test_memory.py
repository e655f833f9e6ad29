"""A pack that runs out of memory goes on in halves, from its checkpoints, down to one run."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import LoraSweepError
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.training import loop
from lora_sweep.training.pack import Pack

Composed = Callable[..., RunConfig]
STEP = 7  # the first of the third epoch: 48 texts in batches of 16


def out_of_memory(pack: Pack, *, fits: int, greedy_seed: int | None) -> bool:
    is_greedy = greedy_seed in [plan.seed for plan in pack.plans]
    return pack.step == STEP - 1 and (is_greedy or len(pack.runs) > fits)


@pytest.fixture(scope="module")
def cells(
    tiny_settings: list[str],
    reliability_cache: str,
    composed: Composed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], list[RunConfig]]:
    """Gives four cells of one run, which train together, in a folder of their own."""
    settings = [*tiny_settings, reliability_cache, "paths.sweep=tiny", "training.epochs=4"]

    def four() -> list[RunConfig]:
        outputs = f"paths.outputs={tmp_path_factory.mktemp('outputs')}"
        return [composed(*settings, outputs, f"seed={seed}") for seed in range(4)]

    return four


@pytest.fixture(scope="module")
def undisturbed(cells: Callable[[], list[RunConfig]]) -> list[float | Exception]:
    """What the cells come to where there is room."""
    return run_cells(cells(), Options(pack_size=4))


@pytest.mark.parametrize(
    ("fits", "greedy_seed"),
    [(1, None), (2, None), (4, 1)],
    ids=["one fits", "two fit", "one never fits"],
)
def test_pack_that_runs_out_of_memory_goes_on_in_halves(
    fits: int,
    greedy_seed: int | None,
    cells: Callable[[], list[RunConfig]],
    undisturbed: list[float | Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = loop.train_step

    def step(pack: Pack, *arguments: Any) -> Any:
        if out_of_memory(pack, fits=fits, greedy_seed=greedy_seed):
            raise MemoryError("no room")
        return real(pack, *arguments)

    monkeypatch.setattr(loop, "train_step", step)
    with caplog.at_level(logging.INFO):
        results = run_cells(cells(), Options(pack_size=4))
    assert [isinstance(r, float) for r in results] == [seed != greedy_seed for seed in range(4)]
    for result, wanted in zip(results, undisturbed, strict=True):
        if isinstance(result, float):
            assert result == wanted
        else:
            assert "no room" in str(result) and not isinstance(result, LoraSweepError)
    assert "a pack of 4 runs broke, its halves are tried: MemoryError: no room" in caplog.text
    assert "runs go on after step 6 of 12" in caplog.text
