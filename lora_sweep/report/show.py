"""The report of a sweep, written to its folder and shown on the terminal."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from lora_sweep.report.collect import collect_runs
from lora_sweep.report.comparison import REGION, compare_inits
from lora_sweep.report.sentences import verdict_sentence
from lora_sweep.report.summarise import summarise_runs
from lora_sweep.report.tables import init_tables
from lora_sweep.report.terminal import print_tables
from lora_sweep.report.write import counts_line, write_files


def show_report(sweep_dir: Path, *, region: float = REGION) -> None:
    """Writes the report, prints the tables, the counts and the report's path.

    Args:
        sweep_dir: the folder that the run folders lie in; the sweep may still be running.
        region: of practical equivalence, percent points.

    Raises:
        LoraSweepError: the folder holds no sweep, or can't be written to.
    """
    runs = collect_runs(sweep_dir)
    summary = summarise_runs(runs)
    comparisons = compare_inits(runs, region=region)
    path = write_files(sweep_dir, runs, summary, comparisons)
    console = Console()
    print_tables(init_tables(summary), console)
    for comparison in comparisons:
        for line in comparison.lines:
            console.print(Text(verdict_sentence(line).replace("**", "")), soft_wrap=True)
    console.print(Text(f"\n{counts_line(runs, summary)}\nreport: {path}"), soft_wrap=True)
