"""What a command says at its end: where the run lies, and what to type next."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lora_sweep.config.data import FilesConfig, recorded_data
from lora_sweep.config.run import to_run_config
from lora_sweep.config.store import task_config
from lora_sweep.launch import command_errors
from lora_sweep.store.record import RESULT_FILE, read_result
from lora_sweep.store.run_folder import Settings
from lora_sweep.store.state import is_finished
from lora_sweep.store.sweep_list import SWEEP_FILE
from lora_sweep.terminal import make_console
from lora_sweep.words import pasteable

_PYTHON = ("python", "-m")
_PASTED = ("python -m ", "run: ")
_PREDICTED = (".csv", ".tsv", ".jsonl")
"""What predictions are read from and written to alike; not all that runs train on."""


class SayWhatIsNext(Callback):
    """Names the folders of a single run's command, and what can be done with them."""

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra after a single run, also when it failed: then nothing is next."""
        if command_errors.are_noted() or kwargs["job_return"].status is not JobStatus.COMPLETED:
            return
        from lora_sweep.execution.content import runs_of  # it loads torch

        own = to_run_config(task_config(config))
        sweep_dir = Path(own.paths.outputs, own.paths.sweep)
        print_unbroken(run_lines([sweep_dir / name for name in runs_of(own)]))


def print_unbroken(lines: Sequence[str]) -> None:
    """Prints lines; none that is to be pasted is broken, however long it is."""
    from rich.text import Text

    console = make_console()
    for line in lines:
        is_pasted = line.startswith(_PASTED)
        console.print(Text(pasteable(line) if is_pasted else line), soft_wrap=is_pasted)


def run_lines(folders: Sequence[Path]) -> list[str]:
    """Returns where the runs of a cell lie, and commands for the best of them.

    Args:
        folders: of the runs, one a seed; those that are not finished are left out.

    Raises:
        RecordError: a record can't be read.
    """
    finished = [folder for folder in folders if is_finished(folder)]
    if not finished:
        return []
    best = max(finished, key=_metric)
    sweep_dir = best.parent
    report = [*_PYTHON, "lora_sweep.report", str(sweep_dir)]
    if (sweep_dir / SWEEP_FILE).exists():  # of a sweep, which did not ask for this run
        report.append("--all")
    return [*(f"run: {folder}" for folder in finished), *next_lines(best, shlex.join(report))]


def next_lines(run: Path, *more: str, of: str = "") -> list[str]:
    """Returns what to type to measure with a finished run, take it away and predict with it.

    Each command works as it stands, but for one that is said to need a file of the user's.

    Args:
        run: its folder.
        more: further commands that work as they stand.
        of: the runs that it is the best of; empty where there are no others.

    Raises:
        RecordError: its record can't be read.
    """
    settings = read_result(run / RESULT_FILE).settings
    kind, why = _export_kind(settings)
    export = ["lora_sweep.export", str(run), "--to", kind, "--out", f"exports/{run.name}"]
    return [
        f"next, with the best run of {of}:" if of else "next:",
        shlex.join([*_PYTHON, "lora_sweep.evaluate", str(run)]),
        shlex.join([*_PYTHON, *export]),
        *more,
        *_predict_lines(run, settings),
        *why,
    ]


def _predict_lines(run: Path, settings: Settings) -> list[str]:
    """The command that predicts: for the run's dev file, else for a file that is described."""
    data = recorded_data(settings)
    predict = [*_PYTHON, "lora_sweep.predict", str(run), "--input"]
    dev = data.files()["dev"] if isinstance(data, FilesConfig) else None
    if dev is not None and dev.suffix in _PREDICTED:
        return [shlex.join([*predict, str(dev), "--output", f"{run.name}{dev.suffix}"])]
    text, pair, _ = data.columns
    columns = f"a column {text}" if pair is None else f"columns {text} and {pair}"
    return [
        f"with a file of your own, texts.csv, that has {columns}:",
        shlex.join([*predict, "texts.csv", "--output", f"{run.name}.csv"]),
    ]


def _export_kind(settings: Settings) -> tuple[str, list[str]]:
    """The format that most tools read of those that the run can have, and why it is no other."""
    from lora_sweep.execution.inputs import stock_fault_of  # it loads torch
    from lora_sweep.execution.recipes import recorded_kind

    fault = stock_fault_of(settings)
    if fault is None:
        return ("peft" if "peft" in recorded_kind(settings).exports else "merged"), []
    return "loraxs", [f"PEFT and transformers can't read its exports: {fault}"]


def _metric(folder: Path) -> float:
    return read_result(folder / RESULT_FILE).reported_metric
