"""The report that ends a sweep: what is written and named, and which settings are refused."""

import math
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lora_sweep.errors import SettingError
from lora_sweep.launch.callbacks import WriteReport


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({}, set()),
        ({"figures": False}, {"figures"}),
        ({"page": False}, {"report.html"}),
        ({"figures": False, "page": False}, {"figures", "report.html"}),
    ],
    ids=["all", "no figures", "no page", "neither"],
)
@pytest.mark.usefixtures("unrendered")
def test_report_names_the_files_that_it_wrote(
    options: dict[str, bool],
    left_out: set[str],
    sweep: Any,
    settings: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.start("a", settings())
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(sweep.path)}}})
    WriteReport(**options).on_multirun_end(config)
    written = {path.name for path in sweep.path.iterdir()} - {"a"}
    every = {"report.md", "report.html", "results.csv", "runs.csv", "figures", "question.json"}
    assert written == every - left_out
    named = capsys.readouterr().out.splitlines()[-1].removeprefix("report: ").split(", ")
    assert {Path(name).name for name in named} == {"report.md", "report.html"} - left_out
    linked = "figures/" in (sweep.path / "report.md").read_text(encoding="utf-8")
    assert linked == ("figures" not in left_out)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        *(("figures", value, "true or false") for value in ("no", 0, None)),
        *(("page", value, "true or false") for value in ("no", 1, [False])),
        *(("equivalence_points", value, "at least 0 and finite") for value in (-0.5, "x", True)),
        *(
            ("difference_points", value, "finite and more than equivalence_points (0.5)")
            for value in (0.5, "x", math.inf)
        ),
        ("question", "best", "tuned or mean"),
    ],
)
def test_wrong_setting_is_refused(setting: str, value: Any, rule: str) -> None:
    with pytest.raises(SettingError) as refused:
        WriteReport(**{setting: value})
    said = f"hydra.callbacks.report.{setting} must be {rule}, but got {value}"
    assert str(refused.value) == said
