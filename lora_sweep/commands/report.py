"""`lora-sweep report outputs/SWEEP ...`: prints sweeps' tables and writes the report."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lora_sweep.commands.arguments import add_all, check_folder, exit_code, place
from lora_sweep.errors import SettingError

if TYPE_CHECKING:
    from lora_sweep.report.compare.question import Question


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    return exit_code(lambda: _report(_parser().parse_args(arguments)))


def _report(given: argparse.Namespace) -> None:
    for folder in given.folders:
        check_folder(folder)
    from lora_sweep.report.show import show_report
    from lora_sweep.report.table.published import published_section
    from lora_sweep.report.write import Forms
    from lora_sweep.store.scope import EVERYTHING, LAST

    if given.out is not None and len(given.folders) < 2:
        raise SettingError(
            "--out must come with several sweeps, for the report of one goes into its folder, "
            f"but got {len(given.folders)}"
        )
    extra = [] if given.published is None else published_section(given.published)
    if given.folders:
        forms = Forms(given.figures, given.page, given.latex, given.parquet, given.tasks)
        scope = EVERYTHING if given.all else LAST
        show_report(
            given.folders,
            out=given.out,
            scope=scope,
            question=_question(given),
            forms=forms,
            extra=extra,
        )
    elif extra:
        print("\n\n".join(extra))
    else:
        raise SettingError("a sweep's folder or --published FILE must be given, but got neither")


def _question(given: argparse.Namespace) -> "Question | None":
    """What is asked with the report; None where it is left to the sweep."""
    from lora_sweep.report.compare.question import read_question

    asked = {
        name: value
        for name in ("settings", "equivalence_points", "difference_points")
        if (value := getattr(given, name)) is not None
    }
    return replace(read_question(given.folders[0]), **asked) if asked else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep report",
        description="Print the median ± std tables of a sweep and write report.md, report.html, "
        "results.csv, runs.csv and figures/ into its folder. The sweep may still be running. "
        "Several sweeps are compared in one report.",
    )
    parser.add_argument(
        "folders", type=place, nargs="*", metavar="FOLDER", help="of a sweep: outputs/demo"
    )
    parser.add_argument(
        "--equivalence-points",
        type=float,
        metavar="POINTS",
        help="differences of up to so many percent points are as good as none (0.5)",
    )
    parser.add_argument(
        "--difference-points",
        type=float,
        metavar="POINTS",
        help="the difference that you would like to find; seeds are counted for it (2)",
    )
    parser.add_argument(
        "--question",
        dest="settings",
        choices=("tuned", "mean"),
        help="of an init with several settings: is it better once they are tuned (tuned), or over "
        "all of them (mean)? This, and the points, default to what the sweep was run for",
    )
    parser.add_argument(
        "--published", type=place, metavar="CSV", help="a study's cells, rendered beside ours"
    )
    parser.add_argument(
        "--out", type=place, metavar="FOLDER", help="where the report of several sweeps goes"
    )
    parser.add_argument(
        "--tasks",
        action="store_true",
        help="one verdict on each init over the tasks of several sweeps, and average ranks",
    )
    parser.add_argument("--latex", action="store_true", help="also write table.tex")
    parser.add_argument("--parquet", action="store_true", help="also write runs.parquet")
    parser.add_argument(
        "--no-figures", dest="figures", action="store_false", help="leave the pictures out"
    )
    parser.add_argument(
        "--no-html", dest="page", action="store_false", help="leave report.html out"
    )
    add_all(parser)
    return parser
