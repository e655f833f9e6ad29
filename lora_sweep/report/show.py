"""The report of one or several sweeps, written to a folder and shown on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lora_sweep.report.compare.comparison import REGION
from lora_sweep.report.compare.equal_runs import equal_runs_lines
from lora_sweep.report.compare.sentences import verdict_sentence
from lora_sweep.report.pages.markdown import counts_line
from lora_sweep.report.pages.tables import init_tables
from lora_sweep.report.pages.terminal import print_tables
from lora_sweep.report.search.section import optimism_lines, trials_line
from lora_sweep.report.search.tables import search_tables
from lora_sweep.report.table.sweep import Sweep, read_sweep_folder, read_sweep_folders
from lora_sweep.report.write import (
    PAGE_FILE,
    REPORT_FILE,
    STANDARD,
    Forms,
    find,
    is_writable,
    write_report,
)
from lora_sweep.store.search_record import SearchRecord


def show_report(
    folders: Sequence[Path],
    *,
    out: Path | None = None,
    region: float = REGION,
    forms: Forms = STANDARD,
    extra: Sequence[str] = (),
) -> None:
    """Writes the report; prints the tables, the verdicts, the counts and the report's path.

    A sweep whose folder is read-only is only printed.

    Args:
        folders: of the sweeps, each with its run folders; they may still be running.
        out: where the report of several sweeps goes; None for a folder beside the first.
        region: of practical equivalence, percent points.
        forms: what is written.
        extra: further sections of Markdown.

    Raises:
        LoraSweepError: a folder holds no sweep, or the report can't be written.
    """
    sweep = _read(folders, out)
    is_written = is_writable(sweep.folder)
    if is_written:
        findings = write_report(sweep, region=region, forms=forms, extra=extra)
    else:
        findings = find(sweep, region=region, extra=extra)
    console = Console()
    print_tables(init_tables(sweep.summary), console)
    for comparison in findings.comparisons:
        for line in comparison.lines:
            console.print(Text(verdict_sentence(line).replace("**", "")), soft_wrap=True)
    for sentence in equal_runs_lines(sweep.runs, sweep.courses):
        console.print(Text(sentence), soft_wrap=True)
    if sweep.search is not None:
        _show_search(sweep.search, console)
    files = [sweep.folder / REPORT_FILE, *([sweep.folder / PAGE_FILE] if forms.page else [])]
    counts = counts_line(sweep.runs, sweep.summary)
    where = f"report: {', '.join(map(str, files))}"
    if not is_written:
        where = f"nothing was written: {sweep.folder} is read-only for this user"
    console.print(Text(f"\n{counts}\n{where}"), soft_wrap=True)


def _show_search(record: SearchRecord, console: Console) -> None:
    print_tables(search_tables(record), console)
    for line in (*optimism_lines(record), trials_line(record)):
        console.print(Text(line), soft_wrap=True)


def _read(folders: Sequence[Path], out: Path | None) -> Sweep:
    if len(folders) == 1 and out is None:
        return read_sweep_folder(folders[0])
    names = "_and_".join(folder.resolve().name for folder in folders)
    return read_sweep_folders(folders, out or folders[0].resolve().parent / names)
