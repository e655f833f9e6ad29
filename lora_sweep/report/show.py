"""The report of one or several sweeps, written to a folder and shown on the terminal."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from lora_sweep.report.compare.equal_runs import equal_runs_lines
from lora_sweep.report.compare.question import Question, read_question
from lora_sweep.report.compare.resolved import resolved_table
from lora_sweep.report.compare.sentences import SHORT_COLUMNS, verdict_tables
from lora_sweep.report.compare.tasks import (
    compare_over_tasks,
    tasks_section,
    tasks_sentences,
)
from lora_sweep.report.pages.answer import answer_lines
from lora_sweep.report.pages.cells import cells_table
from lora_sweep.report.pages.markdown import Findings, counts_line, others_line
from lora_sweep.report.pages.terminal import print_lines, print_tables
from lora_sweep.report.search.section import collapsed_lines, optimism_lines, trials_line
from lora_sweep.report.search.tables import search_tables
from lora_sweep.report.table.groups import group_runs
from lora_sweep.report.table.summarise import init_place
from lora_sweep.report.table.sweep import Sweep, read_sweep_folder, read_sweep_folders
from lora_sweep.report.text.folding import without
from lora_sweep.report.text.table import Table
from lora_sweep.report.write import (
    PAGE_FILE,
    REPORT_FILE,
    STANDARD,
    Forms,
    find,
    is_writable,
    write_report,
)
from lora_sweep.store.scope import LAST, Scope
from lora_sweep.store.search_record import SearchRecord
from lora_sweep.terminal import make_console
from lora_sweep.vocabulary import FINISHED


def show_report(
    folders: Sequence[Path],
    *,
    out: Path | None = None,
    scope: Scope = LAST,
    question: Question | None = None,
    forms: Forms = STANDARD,
    extra: Sequence[str] = (),
) -> dict[str, Path]:
    """Writes the report; prints answer, tables, verdicts, counts and the report's path.

    What is printed comes even if the report can't be written. A sweep whose folder is read-only is
    only printed.

    Args:
        folders: of the sweeps, each with its run folders; they may still be running.
        out: where the report of several sweeps goes; None for a folder beside the first.
        scope: which runs of each folder are meant.
        question: what is asked of the inits; None for what the sweep was run for.
        forms: what is written.
        extra: further sections of Markdown.

    Returns:
        Name of each group of runs that may be compared -> folder of its finished run with the
        highest metric; groups in which none is finished, or all collapsed, are left out.

    Raises:
        LoraSweepError: a folder holds no sweep, or the report can't be written.
        SettingError: the tasks are to be judged together, but can't be.
        ReportError: it is written, but the pictures can't be drawn.
    """
    sweep = _read(folders, out, scope)
    question = question or read_question(sweep.folder)
    tasks = compare_over_tasks(sweep.runs, question=question) if forms.tasks else None
    own = [] if tasks is None else tasks_section(tasks)
    findings = find(sweep, question=question, extra=[*own, *extra])
    is_written = is_writable(sweep.folder)
    console = make_console()
    try:
        if is_written:
            write_report(sweep, findings, forms=forms)
    finally:  # whatever becomes of the files, the tables are shown
        _show_findings(sweep, findings, console)
        if tasks is not None:
            print_lines(["", *tasks_sentences(tasks)], console)
    files = [sweep.folder / REPORT_FILE, *([sweep.folder / PAGE_FILE] if forms.page else [])]
    lines = [f"report: {file}" for file in files]
    if not is_written:
        lines = [f"nothing was written: {sweep.folder} is read-only for this user"]
    console.print(Text("\n".join(lines)), soft_wrap=True)  # paths are for pasting
    return _best_runs(sweep)


def _show_findings(sweep: Sweep, findings: Findings, console: Console) -> None:
    """Prints in the order of report.md: the answer, all cells, the verdicts, the counts."""
    runs = sweep.runs
    print_lines(["", *answer_lines(runs, findings.comparisons, findings.resolution)], console)
    if sweep.search is not None:
        _show_search(sweep.search, runs, console)
    cells = cells_table(sweep.summary)
    print_tables([cells] if cells.rows else [], console)
    print_lines(equal_runs_lines(runs, sweep.courses), console)
    print_tables(_verdicts(findings), console)
    print_lines(["", counts_line(runs, sweep.summary), *others_line(sweep)], console)


def _verdicts(findings: Findings) -> list[Table]:
    """The verdicts with what they rest on; report.md has the rest of their columns.

    Where looks were planned, theirs are the verdicts.
    """
    if findings.resolution is None:
        tables = verdict_tables(findings.comparisons)
    else:
        tables = [resolved_table(findings.resolution)]
    return [without(one, set(one.columns) - SHORT_COLUMNS) for one in tables if one.rows]


def _best_runs(sweep: Sweep) -> dict[str, Path]:
    learnt_something = (sweep.runs["status"] == FINISHED) & ~sweep.runs["collapsed"].fillna(True)
    best = {}
    for name, own in group_runs(sweep.runs[learnt_something]).items():
        highest = own[own["reported_metric"] == own["reported_metric"].max()]
        # Of equal ones the first in the order of the tables, as the answer's best cell is.
        first = min(highest["init"], key=init_place, default=None)
        if first is not None:
            folder = highest["folder"][highest["init"] == first].iloc[0]
            best[name] = sweep.folder / str(folder)
    return best


def _show_search(record: SearchRecord, runs: pd.DataFrame, console: Console) -> None:
    print_tables(search_tables(record), console)
    said = collapsed_lines(record, runs) or optimism_lines(record)
    print_lines(["", *said, trials_line(record)], console)


def _read(folders: Sequence[Path], out: Path | None, scope: Scope) -> Sweep:
    if len(folders) == 1 and out is None:
        return read_sweep_folder(folders[0], scope)
    names = "_and_".join(folder.resolve().name for folder in folders)
    return read_sweep_folders(folders, out or folders[0].resolve().parent / names, scope)
