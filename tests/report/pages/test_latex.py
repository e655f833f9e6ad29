"""Tables for a paper."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lora_sweep.commands.report import main
from lora_sweep.report.pages.latex import to_latex
from lora_sweep.report.pages.tables import Table


def test_rows_and_text_are_escaped() -> None:
    table = Table("A_b & 5 %", ("Task", "LR", "Median ± Std"), (
        ("minimal_pairs", 0.002, "67.80 ± 0.87"),
        ("cola", None, "1.00"),
    ))  # fmt: skip
    lines = to_latex([table]).splitlines()
    assert r"\caption{A\_b \& 5 \%}" in lines
    assert r"\begin{tabular}{lrl}" in lines
    rows = [" ".join(line.split()) for line in lines if line.endswith(r"\\")]
    assert rows == [
        r"Task & LR & Median $\pm$ Std \\",
        r"minimal\_pairs & 0.002 & 67.80 $\pm$ 0.87 \\",
        r"cola & & 1.00 \\",
    ]
    for environment in ("table", "tabular"):
        n_open = sum(line.startswith(rf"\begin{{{environment}}}") for line in lines)
        assert n_open == sum(line == rf"\end{{{environment}}}" for line in lines) == 1


def test_forms_on_request(sweep: Any, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.finish("a", 0.5, settings(model__adapted=["query", "value"]))
    sweep.start("b", settings(seed=1))
    assert main([str(sweep.path), "--latex", "--parquet", "--no-figures", "--no-html"]) == 0
    folder: Path = sweep.path
    assert r"50.00" in (folder / "tables.tex").read_text(encoding="utf-8")
    table, text = pd.read_parquet(folder / "runs.parquet"), pd.read_csv(folder / "runs.csv")
    assert table["folder"].tolist() == text["folder"].tolist() == ["a", "b"]
    assert table["best_metric"].tolist()[0] == text["best_metric"].tolist()[0] == 0.5
    assert text["model.adapted"].tolist() == ["query; value"] * 2
