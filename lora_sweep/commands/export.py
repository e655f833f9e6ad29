"""`lora-sweep export RUN --to FORMAT --out DIR`: takes a run away."""

import argparse
from collections.abc import Sequence

from lora_sweep.commands.arguments import add_run, check_run, exit_code, place
from lora_sweep.files import check_new_folder
from lora_sweep.vocabulary import EXPORT_KINDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    return exit_code(lambda: _export(_parser().parse_args(arguments)))


def _export(given: argparse.Namespace) -> None:
    check_run(given.run)
    check_new_folder("--out", given.out)
    from lora_sweep.export.write import write_export  # it loads torch, as the next ones do
    from lora_sweep.trained.adapted import base_of
    from lora_sweep.trained.open import open_adapter

    adapter = open_adapter(given.run)
    base = base_of(adapter.about, given.base)
    files = write_export(adapter, given.to, given.out, base=base, uniform_rank=given.uniform_rank)
    for file in files:
        print(f"{file}  {file.stat().st_size / 1000:,.1f} kB")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep export",
        description="Write a finished run as a PEFT adapter, as a merged transformers model, as "
        "its few trained matrices alone, or as its learnt ranks; each with a model card.",
    )
    add_run(parser, "folder of a finished run, or of a loraxs export")
    parser.add_argument("--to", required=True, choices=EXPORT_KINDS, help="format of the export")
    parser.add_argument(
        "--out", required=True, type=place, metavar="DIR", help="new or empty folder"
    )
    parser.add_argument(
        "--uniform-rank",
        action="store_true",
        help="pad a peft export with zeros to one rank, for readers without rank_pattern",
    )
    return parser
