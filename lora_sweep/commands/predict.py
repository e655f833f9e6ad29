"""`lora-sweep predict RUN --input FILE --output FILE`: labels for a file of texts."""

import argparse
from collections.abc import Sequence

from lora_sweep.commands.arguments import add_columns, add_run, check_run, exit_code, place
from lora_sweep.errors import SettingError
from lora_sweep.words import counted


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    return exit_code(lambda: _predict(_parser().parse_args(arguments)))


def _predict(given: argparse.Namespace) -> None:
    from lora_sweep.predict.files import check_source, check_target

    check_run(given.run)
    check_source(given.input)
    check_target(given.output)
    from lora_sweep.execution.plans import find_device  # it loads torch, as the next ones do
    from lora_sweep.predict.rows import TextColumns, predict_file
    from lora_sweep.trained.open import open_classifier

    device = find_device(given.device)
    classifier = open_classifier(given.run, base=given.base, device=device)
    text, pair, _ = classifier.about.columns
    if given.text_pair is not None and pair is None:
        raise SettingError(
            f"--text-pair must come with a run on pairs, but got {given.text_pair} for one on "
            "single sentences"
        )
    columns = TextColumns(given.text or text, given.text_pair or pair)
    n_rows = predict_file(classifier, columns, source=given.input, target=given.output)
    print(f"{counted(n_rows, 'row')} -> {given.output}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep predict",
        description="Write the rows of a CSV, TSV or JSON lines file again, each with the label "
        "that a run predicts and the probability of every label. Files may be of any length.",
    )
    add_run(parser, "folder of a finished run, or of an export")
    parser.add_argument("--input", required=True, type=place, metavar="FILE", help="rows to read")
    parser.add_argument(
        "--output",
        required=True,
        type=place,
        metavar="FILE",
        help="new file, .csv, .tsv or .jsonl",
    )
    add_columns(parser)
    return parser
