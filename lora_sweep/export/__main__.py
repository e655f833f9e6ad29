"""`python -m lora_sweep.export RUN --to peft|merged|loraxs --out DIR`: takes a run away."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lora_sweep.errors import LoraSweepError
from lora_sweep.trained.kinds import KINDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in one line.

    Args:
        arguments: of the command line; None for those of this process.
    """
    given = _parser().parse_args(arguments)
    try:
        _export(given)
    except LoraSweepError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _export(given: argparse.Namespace) -> None:
    from lora_sweep.export.write import check_out, write_export
    from lora_sweep.trained.adapted import base_of
    from lora_sweep.trained.open import default_cache, open_adapter

    check_out(given.out)
    adapter = open_adapter(given.run)
    base = base_of(adapter.about, given.base)
    files = write_export(adapter, given.to, given.out, base=base, cache_dir=default_cache())
    for file in files:
        print(f"{file}  {file.stat().st_size / 1000:,.1f} kB")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lora_sweep.export",
        description="Write a finished run as a PEFT adapter, as a merged transformers model, or "
        "as its few trained matrices alone; each with a model card.",
    )
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="folder of a finished run, or of a loraxs export"
    )
    parser.add_argument("--to", required=True, choices=KINDS, help="format of the export")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="new or empty folder"
    )
    parser.add_argument(
        "--base", type=Path, metavar="DIR", help="folder of the base, if it is elsewhere now"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
