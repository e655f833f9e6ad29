"""The sweeper `optuna_resumable`: a search with Optuna that can be stopped and shared.

    python -m lora_sweep --multirun search=rank_range

It takes the ranges, samplers and keys of hydra-optuna-sweeper. Other than there, `n_trials` counts
in all, an interrupted trial is taken up again, a trial's number is its job's, and trials may be
pruned. Optuna is loaded when a search starts.
"""

import warnings
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from lora_sweep.launch.cell_launcher import CellLauncher
from lora_sweep.launch.cells import command_line
from lora_sweep.launch.composing import Composer
from lora_sweep.launch.grids import register_sweeper
from lora_sweep.rules import require
from lora_sweep.search.settings import SearchSettings

NAME = "optuna_resumable"


class OptunaResumable(Sweeper):
    """Searches with Optuna, on and on until the study has all its trials."""

    def __init__(self, **settings: Any) -> None:
        """Takes what stands under `hydra.sweeper`, see `SearchSettings`.

        Raises:
            SettingError: a setting breaks a rule.
        """
        self.settings = SearchSettings(**settings)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Makes the launcher; called by Hydra."""
        _hide_passwords(config)
        self.master, self.context = config, hydra_context
        self.job_launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the search.

        Raises:
            SettingError: something is set wrong; then nothing was started.
            SweepFailedError: too many trials failed, or none finished.
        """
        from optuna.exceptions import ExperimentalWarning

        from lora_sweep.search.jobs import Jobs
        from lora_sweep.search.overrides import split_overrides
        from lora_sweep.search.start import open_search

        launcher = CellLauncher(self.job_launcher)
        self._check_pruner(launcher)
        parser = OverridesParser.create(config_loader=self.context.config_loader)
        searched, fixed = split_overrides(parser, self.settings.params or {}, arguments)
        command = command_line(self.master, arguments)
        jobs = Jobs(Composer(self.context, self.master), launcher, fixed, command)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            open_search(self.settings, jobs, searched).run()

    def _check_pruner(self, launcher: CellLauncher) -> None:
        name = self.master.pruner.name
        if name == "none":
            return
        rule = f"pack while pruner={name}: it ends runs in the middle of a pack"
        chosen = self.master.hydra.runtime.choices.get("hydra/launcher")
        require(launcher.can_stop_early, "hydra/launcher", rule, chosen)
        rule = "none in a search with two objectives: Optuna prunes by one"
        require(len(self.settings.directions) == 1, "pruner", rule, name)


def register() -> None:
    """Makes the sweeper known to Hydra as `hydra/sweeper=optuna_resumable`."""
    settings: dict[str, Any] = {
        "direction": "maximize",
        "storage": None,
        "study_name": None,
        "n_trials": 20,
        "n_jobs": 4,
        "max_failures": 10,
        "params": None,
        "confirm": {"n_best": 3, "n_seeds": 5},
    }
    settings |= {"defaults": [{"sampler": "tpe"}]}  # the samplers are hydra-optuna-sweeper's
    register_sweeper(NAME, OptunaResumable, settings)


def _hide_passwords(config: DictConfig) -> None:
    """Takes passwords out of the config that jobs and records get; the settings keep them."""
    from lora_sweep.search.storage import without_password

    with read_write(config.hydra), open_dict(config.hydra):
        storage = config.hydra.sweeper.storage
        if storage is not None:
            config.hydra.sweeper.storage = without_password(str(storage))
        overrides = config.hydra.overrides.hydra
        config.hydra.overrides.hydra = [without_password(str(one)) for one in overrides]
