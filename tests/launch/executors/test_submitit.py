"""The Slurm queue: the script that is really submitted, and its bounds. No Slurm is needed."""

import os
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lora_sweep.config.store import CONF
from lora_sweep.errors import SettingError
from lora_sweep.execution.protocols import PackEnd
from lora_sweep.launch.executors.submitit import SubmititExecutor


def _train() -> PackEnd:
    return PackEnd()


def preset(*overrides: str) -> dict[str, Any]:
    """The settings of `hydra/launcher=pack_slurm`."""
    with initialize_config_dir(CONF):
        config = compose(
            "config", ["hydra/launcher=pack_slurm", *overrides], return_hydra_config=True
        )
    settings: Any = OmegaConf.to_container(config.hydra.launcher.submitit)
    return dict(settings)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands named like Slurm's; the folder where `sbatch` leaves the scripts it gets."""
    commands, scripts = tmp_path / "bin", tmp_path / "scripts"
    commands.mkdir()
    scripts.mkdir()
    (commands / "sbatch").write_text(
        f'#!/bin/sh\ncp "$1" {scripts}/\necho Submitted batch job 42\n'
    )
    (commands / "srun").write_text("#!/bin/sh\n")
    for command in commands.iterdir():
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    return scripts


def submitted(slurm: Path, folder: Path, n_packs: int, *overrides: str) -> list[str]:
    """Lines of the script that asks for so many packs."""
    SubmititExecutor(folder, **preset(*overrides)).submit([_train] * n_packs)
    (script,) = slurm.iterdir()
    return script.read_text().splitlines()


def test_slurm_script_holds_the_preset(slurm: Path, tmp_path: Path) -> None:
    partition = "hydra.launcher.submitit.parameters.slurm_partition=a100"
    lines = submitted(slurm, tmp_path / "jobs", 40, partition)
    for line in ("--partition=a100", "--gpus-per-node=1", "--time=240", "--requeue"):
        assert f"#SBATCH {line}" in lines
    assert "#SBATCH --array=0-39%16" in lines  # 40 packs, 16 at once
    assert "#SBATCH --signal=USR2@120" in lines
    assert "#SBATCH --cpus-per-task=4" in lines and "#SBATCH --mem=32GB" in lines
    assert any("submitit.core._submit" in line for line in lines)


def test_queue_is_bounded() -> None:
    assert preset("hydra.launcher.submitit.max_queued=5")["max_queued"] == 5


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("cluster=pbs", "cluster must be slurm, local, auto, but got pbs"),
        ("max_queued=0", "max_queued must be an integer of at least 1, but got 0"),
        ("parameters.gpus=1", r"submitit.parameters must be submitit's, but got .*gpus"),
        ("cluster=slurm", "cluster must be there, but got slurm"),
    ],
    ids=["cluster", "bound", "parameter", "no-slurm"],
)
def test_impossible_queue_is_refused(
    override: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm, whatever this machine has
    local = ("hydra.launcher.submitit.cluster=local", f"++hydra.launcher.submitit.{override}")
    with pytest.raises(SettingError, match=f"{rule}"):
        SubmititExecutor(tmp_path, **preset(*local))
