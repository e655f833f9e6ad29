"""`lora-sweep evaluate RUN [data=NAME ...]`: a run's metrics, with their intervals."""

import argparse
from collections.abc import Sequence

from lora_sweep.commands.arguments import add_columns, add_run, check_run, exit_code, place
from lora_sweep.config.arguments import check_data_arguments
from lora_sweep.errors import SettingError


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    return exit_code(lambda: _evaluate(_parser().parse_intermixed_args(arguments)))


def _evaluate(given: argparse.Namespace) -> None:
    _check(given)
    from lora_sweep.evaluate.score import score_parts, scores_json, scores_table
    from lora_sweep.evaluate.sources import data_parts, file_parts
    from lora_sweep.execution.plans import find_device
    from lora_sweep.trained.open import open_classifier

    device = find_device(given.device)
    classifier = open_classifier(given.run, base=given.base, device=device)
    about = classifier.about
    if given.input is None:
        texts = data_parts(about, given.overrides)
    else:
        text, pair, label = about.columns
        columns = given.text or text, given.text_pair or pair, given.label or label
        texts = file_parts(given.input, about, columns)
    scores = score_parts(classifier, texts.parts, texts.headline)
    title = f"{about.run} on {texts.title}"
    if given.json:
        print(scores_json(scores))
    else:
        print(scores_table(title, scores, about.label_names))


def _check(given: argparse.Namespace) -> None:
    """Checks, before torch is loaded, the run, the settings and that options go together."""
    if given.input is not None and given.overrides:
        raise SettingError(
            f"data must come by --input or by settings, but got both: {given.overrides[0]}"
        )
    columns = {"--text": given.text, "--text-pair": given.text_pair, "--label": given.label}
    named = [name for name, column in columns.items() if column is not None]
    if given.input is None and named:
        raise SettingError(f"{named[0]} must come with --input FILE, but got none")
    check_run(given.run)
    check_data_arguments(given.overrides)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep evaluate",
        description="Print the metrics of a run on its own dev set, on another data source "
        "(data=cola data.path=DIR, as for training) or on a file, with their intervals.",
    )
    add_run(parser, "folder of a finished run, or of an export")
    parser.add_argument(
        "overrides", nargs="*", metavar="data=NAME", help="settings of the group data"
    )
    parser.add_argument("--input", type=place, metavar="FILE", help="rows with texts and labels")
    parser.add_argument("--label", metavar="COLUMN", help="of the label (default: the run's own)")
    add_columns(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    return parser
