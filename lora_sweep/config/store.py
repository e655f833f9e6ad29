"""Registers the schemas with Hydra."""

import copy
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from lora_sweep.config import schema
from lora_sweep.config.data import DATA_SOURCES
from lora_sweep.config.run import RunConfig

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "conf", _PACKAGE.parent / "conf"
CONF = str(_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT)
"""Where the YAML files lie: beside the package in a checkout, inside it where it is installed."""

SCHEMAS = {
    "init": schema.InitConfig,
    "rank": schema.RankConfig,
    "alpha": schema.AlphaConfig,
    "budget": schema.BudgetConfig,
    "allocation": schema.AllocationSettings,
    "adapter": schema.AdapterSettings,
    "learning_rate": schema.LearningRateConfig,
    "model": schema.ModelConfig,
    "training": schema.TrainingConfig,
    "paths": schema.PathsConfig,
    "pruner": schema.PrunerConfig,
    "tracker": schema.TrackerConfig,
}
"""The schema of each group; a data source has its own."""


def register() -> None:
    """Makes the schemas known as `hydra/schema/GROUP`, that of all as `hydra/schema/root`.

    A data source has a schema of its own, `hydra/schema/data_NAME`. Below `hydra` they are no
    options that help and shell completion would offer.
    """
    store = ConfigStore.instance()
    sources = {f"data_{name}": source for name, source in DATA_SOURCES.items()}
    for name, node in {"root": RunConfig, **SCHEMAS, **sources}.items():
        store.store(group="hydra/schema", name=name, node=node, replace=True)


def task_config(config: DictConfig) -> DictConfig:
    """Returns a composed config without Hydra's own node."""
    # Hydra's node is the larger part of a copy: an empty one stands in for it.
    left_out = {id(config.hydra): OmegaConf.create()} if "hydra" in config else {}
    task = copy.deepcopy(config, left_out)
    OmegaConf.set_struct(task, False)
    task.pop("hydra", None)
    return task
