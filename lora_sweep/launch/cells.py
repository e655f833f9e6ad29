"""A job's overrides -> the cell that they name, composed and checked before anything runs."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from lora_sweep.config.run import RunConfig, Settings, to_run_config
from lora_sweep.config.store import task_config
from lora_sweep.errors import LoraSweepError
from lora_sweep.launch.composing import Composer, pickled
from lora_sweep.launch.places import check_subfolder
from lora_sweep.launch.run_folder import check_pruner
from lora_sweep.rules import require


@dataclass(frozen=True)
class Cell:
    """One job: a cell with its seeds.

    Attributes:
        overrides: that name it.
        title: what sets it apart from the other jobs of its command.
        composed: the whole config, with Hydra's own node, as `pickled` gives it.
        config: the typed config.
        runs: name of a run's folder -> its settings, in order of seeds.
    """

    overrides: tuple[str, ...]
    title: str
    composed: bytes
    config: RunConfig
    runs: dict[str, Settings]


def compose_cell(composer: Composer, overrides: Sequence[str]) -> Cell:
    """Returns the cell that overrides name.

    Args:
        composer: of the sweep.
        overrides: of one job.

    Raises:
        SettingError: its settings break a rule, or it would lie in another sweep's folder.
        CorpusError: a file of its data is not there, or can't be opened.
    """
    composed, title = composer.compose(overrides), job_title(composer.master, overrides)
    with naming(title):
        check_subfolder(composed)
        config = to_run_config(task_config(composed))
        check_pruner(config.pruner.name, composed.hydra)
        # The list of runs and the report lie in one folder, and the runs inside it.
        place, sweep_dir = (
            Path(config.paths.outputs, config.paths.sweep),
            Path(str(composer.master.hydra.sweep.dir)),
        )
        rule = f"the same in all runs of a sweep ({sweep_dir}; add paths.sweep=NAME)"
        require(place == sweep_dir, "paths.sweep", rule, place)
        config.data.check_files()
    from lora_sweep.execution.content import runs_of  # it loads torch

    with naming(title):
        runs = runs_of(config)
    return Cell(tuple(overrides), title, pickled(composed), config, runs)


def job_title(master: DictConfig, overrides: Sequence[str]) -> str:
    """Returns what sets a job apart: its overrides but for those that the command gives to all.

    Args:
        master: config of the sweep.
        overrides: of the job.
    """
    of_all = {*_as_typed(master.hydra.overrides.task), *_as_typed(master.hydra.overrides.hydra)}
    return " ".join(one for one in overrides if one not in of_all) or "as the command says"


@contextmanager
def naming(title: str) -> Iterator[None]:
    """Adds to a user's error which run of the sweep it stands in."""
    try:
        yield
    except LoraSweepError as error:
        raise type(error)(f"{error}\nin the run {title}") from error


def command_line(master: DictConfig, arguments: Sequence[str]) -> str:
    """Returns the command that starts a sweep.

    Args:
        master: config of the sweep.
        arguments: the command's overrides but for Hydra's own settings.
    """
    typed = _as_typed(master.hydra.overrides.hydra)
    own = [one for one in typed if not one.startswith("hydra.mode=")]
    return shlex.join(["python", "-m", "lora_sweep", "--multirun", *own, *arguments])


def _as_typed(overrides: ListConfig) -> list[str]:
    """Overrides with the interpolations in them, which are no one's of the list to resolve."""
    return [str(one) for one in OmegaConf.to_container(overrides, resolve=False)]  # type: ignore[union-attr]
