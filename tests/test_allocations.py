"""All ways to allocate in one sweep, trained and reported for real."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lora_sweep import results
from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError
from lora_sweep.execution.execute import check_inputs, run_cells
from lora_sweep.execution.group import Options
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.report.write import Forms, find, write_report

Composed = Callable[..., RunConfig]
WAYS = (
    *("init=uniform", "init=right_skewed", "init=linear", "init=spectral"),
    *("allocation=published", "allocation=soft_topk", "allocation=importance", "init=fixed"),
    "allocation=random_square",
)


@pytest.mark.usefixtures("unrendered")
def test_all_ways_to_allocate_train_and_are_reported(
    composed: Composed, tiny_run: list[str], tmp_path: Path
) -> None:
    values = ["init=values", "init.values=[0,1,2,3,3,2,1,0]"]
    cells = [composed(*tiny_run, *way) for way in ([[way] for way in WAYS] + [values])]
    objectives = run_cells(cells, Options(pack_size=10))
    assert all(isinstance(value, float) for value in objectives)
    sweep = read_sweep_folder(tmp_path / "outputs" / "tiny")
    assert set(sweep.summary["init"]) == {
        *("uniform, capped", "right_skewed, capped", "linear, capped", "spectral, capped"),
        *("values, capped", "uniform, published", "uniform, soft_topk", "importance", "fixed"),
        "random_square",
    }
    for folder, course in sweep.courses.items():
        assert (course.final_ranks**2).sum() <= 8 * 2**2 + 1e-6, folder
    write_report(sweep, find(sweep), forms=Forms(page=False))
    text = (sweep.folder / "report.md").read_text(encoding="utf-8")
    assert "Importance" in text and "## The metric over the rank" in text
    curve = results(sweep.folder, ranks=True)
    assert curve["init"].unique().tolist() == ["random_square"]
    assert curve["rank"].tolist() == [1, 2, 3, 4]


def test_wrong_number_of_values_is_refused_before_training(
    composed: Composed, tiny_run: list[str]
) -> None:
    match = "init.values must have one logit for each of the 8 adapted matrices .* but got 3"
    with pytest.raises(SettingError, match=match):
        check_inputs(composed(*tiny_run, "init=values", "init.values=[0,1,2]"))
