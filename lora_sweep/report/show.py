"""The report of a sweep, written to its folder and shown on the terminal."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from lora_sweep.report.collect import collect_runs
from lora_sweep.report.summarise import summarise_runs
from lora_sweep.report.tables import init_tables
from lora_sweep.report.terminal import print_tables
from lora_sweep.report.write import counts_line, write_files


def show_report(sweep_dir: Path) -> None:
    """Writes report.md and results.csv, prints the tables, the counts and the report's path.

    Args:
        sweep_dir: the folder that the run folders lie in; the sweep may still be running.

    Raises:
        LoraSweepError: the folder holds no sweep, or can't be written to.
    """
    runs = collect_runs(sweep_dir)
    summary = summarise_runs(runs)
    path = write_files(sweep_dir, runs, summary)
    console = Console()
    print_tables(init_tables(summary), console)
    console.print(Text(f"\n{counts_line(runs, summary)}\nreport: {path}"), soft_wrap=True)
