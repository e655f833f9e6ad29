"""`lora-sweep evaluate RUN [RUN ...] [data=NAME ...]`: metrics of runs, on any data."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lora_sweep.commands.arguments import add_columns, add_run, check_run, exit_code, place
from lora_sweep.config.arguments import check_data_arguments
from lora_sweep.errors import SettingError
from lora_sweep.words import listed

if TYPE_CHECKING:
    from lora_sweep.evaluate.sources import LabelledParts
    from lora_sweep.trained.about import About


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after a user's error, which is shown in a few lines.

    Args:
        arguments: of the command line; None for those of this process.
    """
    return exit_code(lambda: _evaluate(_parser().parse_intermixed_args(arguments)))


def _evaluate(given: argparse.Namespace) -> None:
    runs = [given.run, *(place(one) for one in given.others if "=" not in one)]
    settings = [one for one in given.others if "=" in one]
    _check(given, runs, settings)
    from lora_sweep.evaluate.cells import cells_of, cells_table
    from lora_sweep.evaluate.score import score_parts, scores_json, scores_table
    from lora_sweep.execution.display import Display
    from lora_sweep.execution.plans import find_device
    from lora_sweep.trained.open import about_of, open_classifier

    abouts = [about_of(run) for run in runs]
    cells = cells_of(abouts)  # refuses a run that is there twice, before any work
    device, scores, titles = find_device(given.device), [], []
    with Display("evaluating", len(runs), unit="run") as display:
        for run, about in zip(runs, abouts, strict=True):
            texts = _texts(given, about, settings)
            classifier = open_classifier(run, base=given.base, device=device)
            scores.append(score_parts(classifier, texts.parts, texts.headline))
            titles.append(texts.title)
            display.move(len(scores))
    names, on = [about.run for about in abouts], listed(list(dict.fromkeys(titles)))
    if given.json:
        print(scores_json(names, scores))
    elif len(runs) == 1:
        print(scores_table(f"{names[0]} on {on}", scores[0], abouts[0].label_names))
    else:
        print(cells_table(f"{len(runs)} runs on {on}", cells, abouts, scores))


def _texts(given: argparse.Namespace, about: "About", settings: Sequence[str]) -> "LabelledParts":
    """What the run is evaluated on."""
    from lora_sweep.evaluate.sources import data_parts, file_parts

    if given.input is None:
        return data_parts(about, settings)
    text, pair, label = about.columns
    columns = given.text or text, given.text_pair or pair, given.label or label
    return file_parts(given.input, about, columns)


def _check(given: argparse.Namespace, runs: Sequence[Path], settings: Sequence[str]) -> None:
    """Checks, before torch is loaded, the runs, the settings and that options go together."""
    if given.input is not None and settings:
        raise SettingError(
            f"data must come by --input or by settings, but got both: {settings[0]}"
        )
    columns = {"--text": given.text, "--text-pair": given.text_pair, "--label": given.label}
    named = [name for name, column in columns.items() if column is not None]
    if given.input is None and named:
        raise SettingError(f"{named[0]} must come with --input FILE, but got none")
    for run in runs:
        check_run(run)
    check_data_arguments(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-sweep evaluate",
        description="Print the metrics of a run on its own dev set, on another data source "
        "(data=cola data.path=DIR, as for training) or on a file, with their intervals. "
        "Of several runs it prints each cell's median and std over the seeds.",
    )
    add_run(parser, "folder of a finished run, or of an export")
    parser.add_argument(
        "others",
        nargs="*",
        metavar="RUN | data=NAME",
        help="more runs; settings of the group data",
    )
    parser.add_argument("--input", type=place, metavar="FILE", help="rows with texts and labels")
    parser.add_argument("--label", metavar="COLUMN", help="of the label (default: the run's own)")
    add_columns(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    return parser
