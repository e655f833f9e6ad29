"""Records packed without their states report the same, and a command goes on from them."""

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import LoraSweepError
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import prepare_cells, run_cell
from lora_sweep.execution.group import Options
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.store.state import read_run
from lora_sweep.store.sweep_list import add_to_sweep, read_commands
from tools.pack_records import main


def test_packed_records_stand_for_their_runs(
    tiny_run: list[str], composed: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = composed(*tiny_run, "n_seeds=2")
    run_cell(config)
    sweep_dir = Path(config.paths.outputs, config.paths.sweep)
    settings = {name: read_run(sweep_dir / name).settings for name in runs_of(config)}
    add_to_sweep(sweep_dir, settings, "lora_sweep --multirun data.path='A PLACE' n_seeds=2")
    archive = tmp_path / "records.tar.xz"
    main([str(sweep_dir), str(archive), "data.path=ELSEWHERE", "paths.outputs=o", "no.such=1"])
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "there", filter="data")
    there = tmp_path / "there" / sweep_dir.name
    assert sorted(folder.name for folder in there.glob("*/")) == sorted(runs_of(config))
    assert not list(there.glob("*/state.safetensors"))
    expected, found = collect_runs(sweep_dir), collect_runs(there)
    same = ["folder", "status", "seed", "init", "reported_metric", "final_metric"]
    assert found[same].equals(expected[same])
    assert set(found["data.path"]) == {"ELSEWHERE"}
    assert read_commands(there) == ["lora_sweep --multirun data.path=ELSEWHERE n_seeds=2"]
    for written in there.glob("*/config.yaml"):
        paths = OmegaConf.load(written)
        assert (paths.data.path, paths.paths.outputs) == ("ELSEWHERE", "o")
    # The same command, with its outputs there, has nothing left to train.
    moved = replace(config, paths=replace(config.paths, outputs=str(there.parent)))
    _, jobs = prepare_cells([moved], Options())
    assert jobs == []


def test_sweep_without_a_command_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "records.tar.xz"
    with pytest.raises(LoraSweepError, match="with a command, but got none"):
        main([str(tmp_path), str(archive)])
    assert not archive.exists()
