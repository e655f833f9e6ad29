"""The table for a paper: escaped, grouped, and no wider than a page's text."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lora_sweep.commands.report import main
from lora_sweep.report.pages.latex import to_latex
from lora_sweep.report.text.table import Table


def _pdflatex() -> str | None:
    """The program, where it has the package that the table needs."""
    finder = shutil.which("kpsewhich")
    if finder is None:
        return None
    found = subprocess.run([finder, "booktabs.sty"], capture_output=True, check=False)
    return shutil.which("pdflatex") if found.stdout else None


PDFLATEX = _pdflatex()
TABLE = Table(
    "All cells",
    ("Init", "Task", "Rank Min", "LR", "Median ± Std", "Seeds", "Final Median ± Std"),
    (
        ("A_b & 5 %", "minimal_pairs", 5, 0.002, "67.80 ± 0.87", "5", "60.00 ± 1.00"),
        ("A_b & 5 %", "minimal_pairs", 5, 0.01, "1.00", "5", "1.00"),
        ("Fixed", "minimal_pairs", None, None, "50.00", "5", "50.00"),
    ),
    settings=("Init", "Task", "Rank Min", "LR"),
    leading=frozenset([0]),
)


def _with_notes(table: Table, *more: str) -> Table:
    """The table with notes, and with further settings that vary."""
    notes = (
        "1 failed, 2 missing, 1 unreadable, 1 collapsed at the end, shares a run",
        None,
        "1 pruned",
    )
    values = [tuple(f"encoder.layer.{i}.{name}" for name in more) for i in range(3)]
    parts = zip(table.rows, values, notes, strict=True)
    return Table(
        table.title,
        (*table.columns, *more, "Notes"),
        tuple((*row, *own, note) for row, own, note in parts),
        settings=(*table.settings, *more),
        leading=table.leading,
    )


MANY = _with_notes(TABLE, "budget.start_average", "model.adapted", "data.path", "training.epochs")


def test_inits_are_groups_and_constants_stand_in_the_caption() -> None:
    lines = to_latex(TABLE, "matthews_correlation").splitlines()
    (caption,) = [line for line in lines if line.startswith(r"\caption")]
    assert caption.endswith(
        r"In all rows, where it has an effect: Task~minimal\_pairs, Rank~Min~5, Seeds~5.}"
    )
    assert caption.startswith(r"\caption{matthews\_correlation $\times$ 100, ")
    start = lines.index(r"\begin{tabular}{rll}")
    assert lines[start:-1] == [
        r"\begin{tabular}{rll}",
        r"\toprule",
        r"LR & Median $\pm$ Std & \shortstack[l]{Final Median \\ $\pm$ Std} \\",
        r"\midrule",
        r"\multicolumn{3}{l}{\textit{A\_b \& 5 \%}} \\",
        r"0.002 & \textbf{67.80 $\pm$ 0.87} & 60.00 $\pm$ 1.00 \\",
        r"0.01 & 1.00 & 1.00 \\",
        r"\midrule",
        r"\multicolumn{3}{l}{\textit{Fixed}} \\",
        r" & 50.00 & 50.00 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_moving_budget_has_an_arrow() -> None:
    rows = tuple(
        (*row, average) for row, average in zip(TABLE.rows, ("17.7 → 25", 20, 25), strict=True)
    )
    moved = Table("All cells", (*TABLE.columns, "Rank Avg"), rows, settings=TABLE.settings)
    assert r"17.7 $\to$ 25" in to_latex(moved, "matthews_correlation")


def test_many_settings_share_a_column_that_breaks() -> None:
    text = to_latex(MANY, "accuracy")
    assert r"\begin{tabularx}{\linewidth}{>{\raggedright\arraybackslash}Xll>" in text
    row = next(line for line in text.splitlines() if "0.002" in line)
    # no number is broken, names joined by dots may be
    assert row.startswith(r"LR 0.002, budget.\allowbreak{}start\_\allowbreak{}average encoder.")


@pytest.mark.skipif(PDFLATEX is None, reason="needs pdflatex (texlive-latex-recommended)")
@pytest.mark.parametrize(
    "table", [TABLE, _with_notes(TABLE), MANY], ids=["plain", "notes", "many settings"]
)
def test_table_compiles_within_the_text(table: Table, tmp_path: Path) -> None:
    packages = r"\usepackage{booktabs,tabularx}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}%s\end{{document}}"
    (tmp_path / "t.tex").write_text(document % to_latex(table, "accuracy"), encoding="utf-8")
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert not re.findall(r"Overfull.*", done.stdout)


def test_forms_on_request(sweep: Any, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.finish("a", 0.5, settings(model__adapted=["query", "value"]))
    sweep.start("b", settings(seed=1))
    assert main([str(sweep.path), "--latex", "--parquet", "--no-figures", "--no-html"]) == 0
    folder: Path = sweep.path
    assert r"50.00" in (folder / "table.tex").read_text(encoding="utf-8")
    table, text = pd.read_parquet(folder / "runs.parquet"), pd.read_csv(folder / "runs.csv")
    assert table["folder"].tolist() == text["folder"].tolist() == ["a", "b"]
    assert table["best_metric"].tolist()[0] == text["best_metric"].tolist()[0] == 0.5
    assert text["model.adapted"].tolist() == ["query; value"] * 2
