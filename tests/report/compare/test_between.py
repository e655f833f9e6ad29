"""Several sweeps in one report: cells labelled by sweep, compared seed by seed."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.commands.report import main
from lora_sweep.errors import LoraSweepError
from lora_sweep.report.compare.between import compare_sweeps
from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.table.sweep import read_sweep_folders

Values = dict[tuple[str, float | None], Sequence[float]]


@pytest.fixture
def two(sweep: Any, settings: Any) -> list[Path]:
    """Folders of two sweeps with cells in common."""
    first: Values = {
        ("uniform", 0.1): [0.50, 0.52, 0.54, 0.51],
        ("randn", 0.1): [0.40, 0.41],
        ("fixed", None): [0.45, 0.46, 0.44, 0.45],
    }
    second: Values = {
        ("uniform", 0.1): [0.60, 0.61, 0.65, 0.62],
        ("uniform", 0.2): [0.1, 0.2],
    }
    own = type(sweep)
    folders = []
    for name, cells in (("old", first), ("new", second)):
        folder = sweep.path.parent / name
        folder.mkdir()
        folders.append(folder)
        for (init, lr), metrics in cells.items():
            for seed, metric in enumerate(metrics):
                run = settings(init=init, seed=seed, **({} if lr is None else {"lr": lr}))
                own(folder).finish(f"{init}-{lr}-{seed}-{name}", metric, run)
    return folders


def test_same_cells_are_compared_by_seed(two: list[Path], tmp_path: Path) -> None:
    runs = read_sweep_folders(two, tmp_path / "out").runs
    (line,) = compare_sweeps(runs)
    assert (line.init, line.baseline) == ("Uniform, LR 0.1, new", "Uniform, LR 0.1, old")
    assert line.paired.differences == pytest.approx((10, 9, 11, 11))
    assert line.verdict.claim == "better"


def test_compared_cells_have_names_of_their_own(sweep: Any, settings: Any, tmp_path: Path) -> None:
    folders = [sweep.path.parent / name for name in ("old", "new")]
    for folder in folders:
        for high in (25, 30):
            for seed in range(3):
                own = settings(rank__max=high, seed=seed)
                type(sweep)(folder).finish(f"{high}-{seed}-{folder.name}", 0.5, own)
    runs = read_sweep_folders(folders, tmp_path / "out").runs
    assert [line.init for line in compare_sweeps(runs)] == [
        *("Uniform, LR 0.001, rank.max=25, new", "Uniform, LR 0.001, rank.max=30, new"),
    ]


def test_inits_of_each_sweep_meet_all_baselines(two: list[Path], tmp_path: Path) -> None:
    (comparison,) = compare_inits(read_sweep_folders(two, tmp_path / "out").runs)
    pairs = {(line.init, line.baseline) for line in comparison.lines}
    baseline = "fixed, rank 20, old"
    inits = ("uniform of old", "randn of old", "uniform of new")
    assert pairs == {(init, baseline) for init in inits}


def test_command_writes_one_report(two: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*map(str, two), "--no-figures"]) == 0
    out = two[0].parent / "old_and_new"
    assert str(out / "report.md") in capsys.readouterr().out
    text = (out / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Sweep old, new\n")
    assert "## Between the sweeps" in text
    assert "[config](../new/uniform-0.1-0-new/config.yaml)" in text
    header = next(line for line in text.splitlines() if line.startswith("| Init"))
    assert "| sweep" in header
    for folder in two:
        assert not (folder / "report.md").exists()


@pytest.mark.parametrize("has_baseline", [True, False])
def test_columns_are_explained_once(two: list[Path], tmp_path: Path, has_baseline: bool) -> None:
    if not has_baseline:
        for run in two[0].glob("fixed-*"):
            shutil.rmtree(run)
    assert main([*map(str, two), "--out", str(tmp_path / "out"), "--no-figures", "--no-html"]) == 0
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert text.count("Seeds needed: to find") == 1
    assert ("Columns are read as above." in text) == has_baseline


@pytest.mark.usefixtures("unrendered")
def test_out_chooses_the_folder(two: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "both"
    assert main([*map(str, two), "--out", str(out)]) == 0
    assert {"report.md", "report.html", "figures"} <= {path.name for path in out.iterdir()}
    pictures = {path.stem for path in (out / "figures").iterdir()}
    assert {"1_comparison", "2_comparison"} <= pictures


def test_sweeps_of_one_name_are_refused(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(LoraSweepError, match="different names, but got old more than once"):
        read_sweep_folders([two[0], two[0]], tmp_path)


def test_out_is_for_several(two: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(two[0]), "--out", "x"]) == 1
    assert "must come with several sweeps" in capsys.readouterr().err
