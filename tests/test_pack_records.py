"""Records packed without their states report the same, and a command goes on from them."""

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lora_sweep.config.run import RunConfig
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import prepare_cells, run_cell
from lora_sweep.execution.group import Options
from lora_sweep.report.table.collect import collect_runs
from tools.pack_records import main


def test_packed_records_stand_for_their_runs(
    tiny_run: list[str], composed: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = composed(*tiny_run, "n_seeds=2")
    run_cell(config)
    sweep_dir = Path(config.paths.outputs, config.paths.sweep)
    archive = tmp_path / "records.tar.xz"
    main([str(sweep_dir), str(archive), "data.path=ELSEWHERE", "no.such=1"])
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "there", filter="data")
    there = tmp_path / "there" / sweep_dir.name
    assert sorted(folder.name for folder in there.iterdir()) == sorted(runs_of(config))
    assert not list(there.glob("*/state.safetensors"))
    expected, found = collect_runs(sweep_dir), collect_runs(there)
    same = ["folder", "status", "seed", "init", "reported_metric", "final_metric"]
    assert found[same].equals(expected[same])
    assert set(found["data.path"]) == {"ELSEWHERE"}
    # The same command, with its outputs there, has nothing left to train.
    moved = replace(config, paths=replace(config.paths, outputs=str(there.parent)))
    _, jobs = prepare_cells([moved], Options())
    assert jobs == []
