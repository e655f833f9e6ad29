"""Registers the schemas with Hydra, and the resolver that names a run's folder."""

from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from lora_sweep.config import schema
from lora_sweep.config.data import DATA_SOURCES
from lora_sweep.config.run import RunConfig, run_name, run_settings, to_run_config
from lora_sweep.errors import SettingError

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "conf", _PACKAGE.parent / "conf"
CONF = str(_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT)
"""Where the YAML files lie: beside the package in a checkout, inside it where it is installed."""

_SCHEMAS = {
    "init": schema.InitConfig,
    "rank": schema.RankConfig,
    "alpha": schema.AlphaConfig,
    "budget": schema.BudgetConfig,
    "allocation": schema.AllocationSettings,
    "learning_rate": schema.LearningRateConfig,
    "model": schema.ModelConfig,
    "training": schema.TrainingConfig,
    "paths": schema.PathsConfig,
    "pruner": schema.PrunerConfig,
    "tracker": schema.TrackerConfig,
}


def register() -> None:
    """Makes the schemas known under `schema` of each group, and `${run_folder:}` as a value.

    A data source has a schema of its own, `schema_NAME` of the group `data`.
    """
    store = ConfigStore.instance()
    store.store(name="schema", node=RunConfig, replace=True)
    for group, node in _SCHEMAS.items():
        store.store(group=group, name="schema", node=node, replace=True)
    for name, source in DATA_SOURCES.items():
        store.store(group="data", name=f"schema_{name}", node=source, replace=True)
    OmegaConf.register_resolver("run_folder", _run_folder, replace=True)


def task_config(config: DictConfig) -> DictConfig:
    """Returns a composed config without Hydra's own node."""
    task = config.copy()
    OmegaConf.set_struct(task, False)
    task.pop("hydra", None)
    return task


def _run_folder(*, _root_: DictConfig) -> str:
    """The folder of the job's first run. Hydra asks for it first, so all rules are run here."""
    hydra = _root_.hydra
    is_single = hydra.mode is not None and hydra.mode.name == "RUN"
    for group, what in (("sweep", "a grid of runs"), ("search", "a search")):
        choice = hydra.runtime.choices.get(group)
        if is_single and choice is not None:
            raise SettingError(
                f"{group}={choice} must be run with --multirun (or -m), but got a single run: "
                f"it names {what}"
            )
    run_config = to_run_config(task_config(_root_))
    _check_pruner(run_config.pruner.name, hydra)
    return run_name(run_settings(run_config, run_config.seed))


def _check_pruner(name: str, hydra: DictConfig) -> None:
    """A pruner that nobody asks is a setting that would be ignored."""
    is_single = hydra.mode is not None and hydra.mode.name == "RUN"
    sweeper = hydra.runtime.choices.get("hydra/sweeper")
    if name != "none" and (is_single or sweeper != "optuna_resumable"):
        raise SettingError(
            f"pruner={name} must be in a search (--multirun search=rank_range), but got "
            f"{'a single run' if is_single else f'hydra/sweeper={sweeper}'}"
        )
