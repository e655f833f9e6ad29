"""Runs whose frozen factors are of another kind: what is cached, kept and shared."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lora_sweep.adapters.factors.randomised import randomised_factors
from lora_sweep.config.run import RunConfig
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cell
from lora_sweep.execution.inputs import load_adapted_encoder
from lora_sweep.store.record import RunRecord, read_result

Train = Callable[..., RunRecord]
CPU = torch.device("cpu")
DRAWN = "model.factors=randomised"


@pytest.fixture
def train(tiny_run: list[str], tmp_path: Path, composed: Callable[..., RunConfig]) -> Train:
    """Overrides -> the record of a cell's run; the cache lies in `tmp_path/cache`."""

    def run(*overrides: str) -> RunRecord:
        config = composed(*tiny_run, f"paths.cache={tmp_path / 'cache'}", *overrides)
        run_cell(config)
        (name,) = runs_of(config)
        return read_result(tmp_path / "outputs" / "tiny" / name / "result.json")

    return run


def test_record_says_kind_and_seed_of_factors(train: Train, tmp_path: Path) -> None:
    record = train(DRAWN, "model.factors_seed=7")
    assert record.settings["model.factors"] == "randomised"
    assert record.settings["model.factors_seed"] == 7
    files = list((tmp_path / "cache" / "factors").glob("*.safetensors"))
    assert len(files) == len(record.matrices) == 8
    assert all(path.name.endswith("-randomised-7-4.safetensors") for path in files)


def test_runs_with_other_factors_have_other_losses(train: Train) -> None:
    how = ("learning_rate.adapter=0.5", "model.pooling=cls")
    other = "model.factors=random"  # randomised ones may agree with the exact ones to the bit
    exact, drawn, again = (train(*how, *more) for more in ((), (other,), (other, "seed=0")))
    assert drawn == again
    assert exact.epochs[0].train_loss != drawn.epochs[0].train_loss
    assert exact.fingerprint != drawn.fingerprint


@pytest.mark.parametrize("ranks", [(4, 3), (3, 4)], ids=["falling", "rising"])
def test_encoder_has_the_factors_of_its_own_rank(
    ranks: tuple[int, int],
    tiny_run: list[str],
    tiny_base: Path,
    composed: Callable[..., RunConfig],
) -> None:
    for rank in ranks:  # one after the other, as in one process
        config = composed(*tiny_run, DRAWN, f"rank.max={rank}")
        for layer in load_adapted_encoder(config, tiny_base, CPU).layers.values():
            A, B = randomised_factors(layer.weight, rank, seed=42)
            assert torch.equal(layer.A, A) and torch.equal(layer.B, B)


def test_exact_factors_of_a_larger_rank_serve_a_smaller_one(
    tiny_run: list[str], tiny_base: Path, composed: Callable[..., RunConfig]
) -> None:
    first, second = (
        load_adapted_encoder(composed(*tiny_run, f"rank.max={rank}"), tiny_base, CPU)
        for rank in (4, 3)
    )
    assert first is second
