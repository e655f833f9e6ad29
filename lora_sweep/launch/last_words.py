"""What a command says at its end: where the run lies, and what to type next."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lora_sweep.config.run import to_run_config
from lora_sweep.config.store import task_config
from lora_sweep.store.record import RESULT_FILE, read_result
from lora_sweep.store.state import is_finished
from lora_sweep.store.sweep_list import SWEEP_FILE
from lora_sweep.terminal import make_console

_PYTHON = ("python", "-m")


class SayWhatIsNext(Callback):
    """Names the folders of a single run's command, and what can be done with them."""

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra after a single run, also when it failed."""
        from lora_sweep.execution.content import runs_of  # it loads torch

        own = to_run_config(task_config(config))
        sweep_dir = Path(own.paths.outputs, own.paths.sweep)
        print_unbroken(run_lines([sweep_dir / name for name in runs_of(own)]))


def print_unbroken(lines: Sequence[str]) -> None:
    """Prints lines that are to be pasted: none is broken, however long it is."""
    from rich.text import Text

    console = make_console()
    for line in lines:
        console.print(Text(line), soft_wrap=True)


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
    return [*(f"run: {folder}" for folder in finished), *next_lines(best), shlex.join(report)]


def next_lines(run: Path) -> list[str]:
    """Returns what to type to take a finished run away, and to predict with it.

    Args:
        run: its folder.
    """
    export = [*_PYTHON, "lora_sweep.export", str(run), "--to", "peft"]
    predict = [*_PYTHON, "lora_sweep.predict", str(run), "--input", "texts.csv"]
    return [
        "next:",
        shlex.join([*export, "--out", f"exports/{run.name}"]),
        shlex.join([*predict, "--output", "labels.csv"]),
    ]


def _metric(folder: Path) -> float:
    return read_result(folder / RESULT_FILE).reported_metric
