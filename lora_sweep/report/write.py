"""The report's files in the sweep's folder; those of a sweep that still runs are written again.

report.md      tables, verdicts, pictures, where it all comes from
report.html    the same as one page that needs nothing else, with a page a run
results.csv    a row a cell
runs.csv       a row a run (runs.parquet on request)
table.tex      the table of all cells for a paper (on request)
figures/       every picture as SVG and PNG
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lora_sweep.errors import ReportError, StorageError
from lora_sweep.files import clear_unfinished, write_text, write_whole
from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.compare.question import STANDARD_QUESTION, Question
from lora_sweep.report.compare.resolved import read_resolution
from lora_sweep.report.figures.picture import FOLDER, Picture
from lora_sweep.report.pages.cells import cells_table, to_csv_table, without_formulas
from lora_sweep.report.pages.html import page_text
from lora_sweep.report.pages.latex import to_latex
from lora_sweep.report.pages.markdown import Findings, report_text
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.report.text.values import plain

REPORT_FILE = "report.md"
PAGE_FILE = "report.html"
CSV_FILE = "results.csv"
RUNS_FILE = "runs.csv"
PARQUET_FILE = "runs.parquet"
LATEX_FILE = "table.tex"


_HOUR = 3600.0


@dataclass(frozen=True)
class Forms:
    """What is written besides report.md, results.csv and runs.csv.

    Attributes:
        figures, page, latex, parquet: whether there are such files.
        tasks: whether report.md judges the inits over all tasks together, too.
    """

    figures: bool = True
    page: bool = True
    latex: bool = False
    parquet: bool = False
    tasks: bool = False


STANDARD = Forms()


def write_report(sweep: Sweep, findings: Findings, *, forms: Forms = STANDARD) -> None:
    """Writes the report's files, each whole or not at all.

    Where the pictures can't be drawn, all the rest is written first.

    Args:
        sweep: what is reported; the files go into its folder.
        findings: what the report says of it, as from `find`.
        forms: what is written.

    Raises:
        StorageError: the folder can't be written to.
        ReportError: the pictures can't be drawn; says why.
    """
    folder = sweep.folder
    broken: Exception | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, folder / FOLDER):
            clear_unfinished(place, older_than=_HOUR)
        _write_tables(sweep, forms)
        if forms.figures:
            try:
                findings = replace(findings, pictures=_write_figures(sweep))
            except StorageError:
                raise
            except Exception as error:  # whatever drawing meets: the text needs no pictures
                broken = error
        text = report_text(sweep, findings)
        write_text(folder / REPORT_FILE, text)
        if forms.page:
            write_text(folder / PAGE_FILE, page_text(sweep, text))
    except OSError as error:
        raise StorageError(f"{folder} can't be written to: {error}") from error
    if broken is not None:
        raise ReportError(
            f"{folder / REPORT_FILE} is written without pictures, for they can't be drawn: "
            f"{type(broken).__name__}: {broken}"
        ) from broken


def _write_tables(sweep: Sweep, forms: Forms) -> None:
    """Writes the tables that programs read."""
    folder, summary = sweep.folder, sweep.summary
    write_text(folder / CSV_FILE, without_formulas(to_csv_table(summary)).to_csv(index=False))
    table = sweep.runs.map(plain)
    write_text(folder / RUNS_FILE, without_formulas(table).to_csv(index=False))
    if forms.parquet:
        write_whole(folder / PARQUET_FILE, lambda path: table.to_parquet(path, index=False))
    cells = cells_table(summary)
    if forms.latex and cells.rows:
        metrics = ", ".join(sorted(set(sweep.runs["metric_words"].dropna().astype(str))))
        write_text(folder / LATEX_FILE, to_latex(cells, metrics))


def _write_figures(sweep: Sweep) -> Sequence[Picture]:
    """Loads what draws only now, for it may not be loadable: then there are tables still."""
    from lora_sweep.report.figures.write import write_figures

    return write_figures(sweep)


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
