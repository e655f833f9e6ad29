"""The report of a sweep: report.md, results.csv (a row a cell) and runs.csv (a row a run).

Also of a sweep that still runs: what is not there yet is counted and marked as missing.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lora_sweep.errors import LoraSweepError
from lora_sweep.report.collect import FAILED, FINISHED, MISSING, UNREADABLE, collect_runs
from lora_sweep.report.comparison import Comparison, compare_inits
from lora_sweep.report.observation import observation_section
from lora_sweep.report.provenance import provenance_section
from lora_sweep.report.sentences import comparison_section
from lora_sweep.report.summarise import summarise_runs
from lora_sweep.report.tables import escape_markdown, init_tables, plain, to_csv_table, to_markdown
from lora_sweep.runs.store import read_commands, write_text

REPORT_FILE = "report.md"
CSV_FILE = "results.csv"
RUNS_FILE = "runs.csv"

_CELL = (
    "A cell is one combination of all settings but the seed; its runs differ in nothing else. "
    "Seeds: finished runs, or finished/expected while some are not. "
    "A std is the sample one (ddof = 1), blank for one seed."
)
_BEST = (
    "Each run stands with its best epoch on dev. That epoch is picked on the set it is reported "
    "on, so the number is optimistic; hold out a selection split "
    "(`data.selection_fraction=0.1`) for one that is not."
)
_SELECTED = (
    "Each run stands with its dev metric at the epoch that was best on the selection split."
)
_MIXED = (
    "Runs with a selection split stand with their dev metric at the epoch that was best on it; "
    "the others with their best epoch on dev, which is optimistic."
)
_NOTES = (
    "Notes: a collapsed run predicts one class only; a cell that shares a run holds one that is "
    "counted more than once."
)


def write_report(sweep_folder: Path) -> Path:
    """Writes the report of a sweep and returns the path of report.md.

    Args:
        sweep_folder: the folder that the run folders lie in.

    Raises:
        LoraSweepError: the folder holds no sweep, or can't be written to.
    """
    runs = collect_runs(sweep_folder)
    return write_files(sweep_folder, runs, summarise_runs(runs), compare_inits(runs))


def write_files(
    sweep_folder: Path, runs: pd.DataFrame, summary: pd.DataFrame, comparisons: list[Comparison]
) -> Path:
    """Writes the report's files, each whole or not at all; returns the path of report.md.

    Args:
        sweep_folder: where to.
        runs: as from `collect_runs`.
        summary: as from `summarise_runs`.
        comparisons: as from `compare_inits`.

    Raises:
        LoraSweepError: the folder can't be written to.
    """
    path = sweep_folder / REPORT_FILE
    try:
        write_text(sweep_folder / CSV_FILE, to_csv_table(summary).to_csv(index=False))
        write_text(sweep_folder / RUNS_FILE, runs.map(plain).to_csv(index=False))
        sections = [
            *comparison_section(comparisons),
            *observation_section(sweep_folder, runs),
            *provenance_section(runs, summary, read_commands(sweep_folder)),
        ]
        name = sweep_folder.resolve().name
        write_text(path, report_text(name, runs, summary, sections=sections))
    except OSError as error:
        raise LoraSweepError(f"{sweep_folder} can't be written to: {error}") from error
    return path


def report_text(
    name: str, runs: pd.DataFrame, summary: pd.DataFrame, *, sections: Sequence[str] = ()
) -> str:
    """Returns report.md.

    Args:
        name: of the sweep.
        runs: as from `collect_runs`.
        summary: as from `summarise_runs`.
        sections: paragraphs behind the tables.
    """
    parts = [f"# Sweep {escape_markdown(name)}", f"{counts_line(runs, summary)}."]
    parts.append(_explanation(runs))
    for table in init_tables(summary):
        if "Notes" in table.columns and _NOTES not in parts:
            parts.append(_NOTES)
        parts += [f"## {escape_markdown(table.title)}", to_markdown(table)]
    parts += [*_without_result(runs), *sections]
    return "\n\n".join(parts) + "\n"


def counts_line(runs: pd.DataFrame, summary: pd.DataFrame) -> str:
    """Returns how many runs are finished, failed, missing and collapsed, in how many cells."""
    n_with = runs["status"].value_counts()
    counts = [f"{n_with.get(status, 0)} {status}" for status in (FINISHED, FAILED, MISSING)]
    if UNREADABLE in n_with:
        counts.append(f"{n_with[UNREADABLE]} {UNREADABLE}")
    counts.append(f"{runs['collapsed'].sum()} collapsed")
    return f"{_counted(len(runs), 'run')} in {_counted(len(summary), 'cell')}: {', '.join(counts)}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _explanation(runs: pd.DataFrame) -> str:
    finished = runs[runs["status"] == FINISHED]
    if finished.empty:
        return _CELL
    metrics = ", ".join(sorted(set(finished["metric"].dropna())))
    has_selected = finished["selected_metric"].notna()
    choice = _SELECTED if has_selected.all() else _MIXED if has_selected.any() else _BEST
    final = "Final Median ± Std is of the last epoch, which is not picked by its metric."
    return f"Median ± Std is of {escape_markdown(metrics)} × 100. {choice} {final} {_CELL}"


def _without_result(runs: pd.DataFrame) -> list[str]:
    """Heading and table of the runs that ended without a result; nothing if all have one."""
    for_reader = runs[runs["status"].isin([FAILED, UNREADABLE])]
    if for_reader.empty:
        return []
    rows = ["| Run | Status | Error |", "|:----|:-------|:------|"]
    for folder, status, error in for_reader[["folder", "status", "error"]].itertuples(index=False):
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        rows.append(f"| {escape_markdown(folder)} | {status} | {escape_markdown(first)} |")
    return ["## Runs without a result", "\n".join(rows)]
