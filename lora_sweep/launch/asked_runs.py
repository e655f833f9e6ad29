"""The runs that a sweeper of Hydra's own asks for are listed as those of ours are.

Our sweepers know their runs before one starts, and list them (`sweep.json`). Hydra's own (`basic`,
`optuna`) come to their jobs one by one: here each job adds its runs to those of its command, so
that report and status are of what was asked, as for any other sweep.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lora_sweep.config.run import RunConfig, to_run_config
from lora_sweep.config.store import task_config
from lora_sweep.errors import LoraSweepError
from lora_sweep.launch.cells import command_line
from lora_sweep.store.sweep_list import add_to_sweep

_OURS = "lora_sweep."


def command_to_list(master: DictConfig) -> str | None:
    """Returns the command whose jobs list their runs; None where the sweeper does.

    Args:
        master: config of the sweep.
    """
    if str(master.hydra.sweeper._target_).startswith(_OURS):
        return None
    return command_line(master, list(master.hydra.overrides.task))


def add_runs(command: str, configs: Sequence[RunConfig]) -> None:
    """Adds the runs of cells to those that a command asked for.

    A cell that is wrong has none: its job says why.

    Args:
        command: as from `command_to_list`.
        configs: one a cell.

    Raises:
        StorageError: the list can't be written.
    """
    from lora_sweep.execution.content import runs_of  # it loads torch

    for config in configs:
        try:
            runs = runs_of(config)
        except LoraSweepError:
            continue
        sweep_dir = Path(config.paths.outputs, config.paths.sweep)
        add_to_sweep(sweep_dir, runs, command, grows=True)


class ListAskedRuns(Callback):
    """Lists each job's runs where the sweeper is none of ours, whatever launches the job."""

    def __init__(self) -> None:
        """Starts with a single run, which nobody lists."""
        self.command: str | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before a sweep; launchers bring this object to their workers."""
        self.command = command_to_list(config)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before each job, in the process that runs it."""
        if self.command is not None:
            with suppress(LoraSweepError):  # of wrong settings: the job says the same
                add_runs(self.command, [to_run_config(task_config(config))])
