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
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        from lora_sweep.report.show import show_report

        show_report(given.folder, region=given.equivalence_points)
    except LoraSweepError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lora_sweep.report",
        description="Print the median ± std tables of a sweep and write report.md, results.csv "
        "and runs.csv into its folder. The sweep may still be running.",
    )
    parser.add_argument("folder", type=Path, help="the sweep's folder, for example outputs/demo")
    parser.add_argument(
        "--equivalence-points",
        type=float,
        default=0.5,
        metavar="POINTS",
        help="differences of up to so many percent points are as good as none (default 0.5)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
