"""`python -m lora_sweep.report outputs/SWEEP`: prints a sweep's tables and writes its report."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lora_sweep.errors import LoraSweepError


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in one line.

    Args:
        arguments: of the command line; None for those of this process.
    """
    folder = _parser().parse_args(arguments).folder
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        _report(folder)
    except LoraSweepError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lora_sweep.report",
        description="Print the median ± std tables of a sweep and write report.md and "
        "results.csv into its folder. The sweep may still be running.",
    )
    parser.add_argument("folder", type=Path, help="the sweep's folder, for example outputs/demo")
    return parser


def _report(folder: Path) -> None:
    from rich.console import Console
    from rich.text import Text

    from lora_sweep.report.collect import collect_runs
    from lora_sweep.report.summarise import summarise_runs
    from lora_sweep.report.tables import init_tables
    from lora_sweep.report.terminal import print_tables
    from lora_sweep.report.write import counts_line, write_files

    runs = collect_runs(folder)
    summary = summarise_runs(runs)
    path = write_files(folder, runs, summary)
    console = Console()
    print_tables(init_tables(summary), console)
    console.print(Text(f"\n{counts_line(runs, summary)}\nreport: {path}"), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
