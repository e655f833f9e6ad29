"""The report's files in the sweep's folder; those of a sweep that still runs are written again.

report.md      tables, verdicts, pictures, where it all comes from
report.html    the same as one page that needs nothing else, with a page a run
results.csv    a row a cell
runs.csv       a row a run (runs.parquet on request)
tables.tex     the tables for a paper (on request)
figures/       every picture as SVG and PNG
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lora_sweep.errors import StorageError
from lora_sweep.files import clear_unfinished, write_text, write_whole
from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.compare.question import STANDARD_QUESTION, Question
from lora_sweep.report.compare.resolved import read_resolution
from lora_sweep.report.figures.write import FOLDER, write_figures
from lora_sweep.report.pages.html import page_text
from lora_sweep.report.pages.latex import to_latex
from lora_sweep.report.pages.markdown import Findings, report_text
from lora_sweep.report.pages.tables import init_tables, plain, to_csv_table, without_formulas
from lora_sweep.report.table.sweep import Sweep

REPORT_FILE = "report.md"
PAGE_FILE = "report.html"
CSV_FILE = "results.csv"
RUNS_FILE = "runs.csv"
PARQUET_FILE = "runs.parquet"
LATEX_FILE = "tables.tex"


_HOUR = 3600.0


@dataclass(frozen=True)
class Forms:
    """What is written besides report.md, results.csv and runs.csv."""

    figures: bool = True
    page: bool = True
    latex: bool = False
    parquet: bool = False


STANDARD = Forms()


def write_report(
    sweep: Sweep,
    *,
    question: Question = STANDARD_QUESTION,
    forms: Forms = STANDARD,
    extra: Sequence[str] = (),
) -> Findings:
    """Writes the report's files, each whole or not at all.

    Args:
        sweep: what is reported; the files go into its folder.
        question: what is asked of the inits.
        forms: what is written.
        extra: further sections of Markdown.

    Raises:
        StorageError: the folder can't be written to.
    """
    folder = sweep.folder
    findings = find(sweep, question=question, extra=extra)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, folder / FOLDER):
            clear_unfinished(place, older_than=_HOUR)
        write_text(
            folder / CSV_FILE, without_formulas(to_csv_table(sweep.summary)).to_csv(index=False)
        )
        table = sweep.runs.map(plain)
        write_text(folder / RUNS_FILE, without_formulas(table).to_csv(index=False))
        if forms.parquet:
            write_whole(folder / PARQUET_FILE, lambda path: table.to_parquet(path, index=False))
        if forms.latex:
            write_text(folder / LATEX_FILE, to_latex(init_tables(sweep.summary)))
        if forms.figures:
            findings = replace(findings, pictures=write_figures(sweep))
        text = report_text(sweep, findings)
        write_text(folder / REPORT_FILE, text)
        if forms.page:
            write_text(folder / PAGE_FILE, page_text(sweep, text))
    except OSError as error:
        raise StorageError(f"{folder} can't be written to: {error}") from error
    return findings


def find(
    sweep: Sweep, *, question: Question = STANDARD_QUESTION, extra: Sequence[str] = ()
) -> Findings:
    """Returns what a report says, without pictures; nothing is written.

    Args:
        sweep: what is reported.
        question: what is asked of the inits.
        extra: further sections of Markdown.
    """
    comparisons = compare_inits(sweep.runs, question=question)
    resolution = read_resolution(sweep.folder, sweep.runs)
    return Findings(comparisons, question=question, extra=extra, resolution=resolution)


def is_writable(folder: Path) -> bool:
    """Returns whether files may be made in a folder, or in the one that it would be made in."""
    place = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    return os.access(place, os.W_OK | os.X_OK)
