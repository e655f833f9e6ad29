"""Configs as Hydra composes them, with its slow part done once.

Hydra first composes the options of the groups, which takes a fifth of a second, then sets single
values in what that comes to. Here the first part is kept; Hydra's own function sets the values.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

from lora_sweep.config.store import CONF


def composed_once(compose: Callable[[list[str]], DictConfig]) -> Callable[..., DictConfig]:
    """Returns what gives the same configs as `compose`, and calls it once a set of options."""
    kept: dict[tuple[str, ...], DictConfig] = {}

    def quickly(overrides: Sequence[str]) -> DictConfig:
        options, values = _split(overrides)
        lines = _lines(options)
        if lines not in kept:
            kept[lines] = compose(list(lines))
        config = copy.deepcopy(kept[lines])
        _set_values(config, values)
        return config

    return quickly


class QuickLoader:
    """Hydra's loader of configs, which composes the same options once for all tests."""

    _sweeps: ClassVar[Callable[..., DictConfig] | None] = None
    _jobs: ClassVar[dict[tuple[str, ...], DictConfig]] = {}

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep(self, overrides: list[str]) -> DictConfig:
        """Returns the config of a sweep."""

        def compose(options: list[str]) -> DictConfig:
            return self._loader.load_configuration("config", options, RunMode.MULTIRUN)

        cls = type(self)
        cls._sweeps = cls._sweeps or composed_once(compose)
        return cls._sweeps(overrides)

    def load_sweep_config(self, master: DictConfig, options: list[str]) -> DictConfig:
        """Returns the config of a job; the composer of the sweep sets its single values."""
        hydra = master.hydra
        own, values = _split(hydra.overrides.hydra)
        key = (*_lines(own), *map(str, hydra.runtime.choices.items()), *options)
        if key not in self._jobs:
            self._jobs[key] = self._loader.load_sweep_config(master, options)
        config = copy.deepcopy(self._jobs[key])
        _set_values(config, values)
        config.hydra.overrides.hydra = list(hydra.overrides.hydra)
        return config


def _split(overrides: Sequence[str]) -> tuple[list[Override], list[Override]]:
    """The options, and the single values."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    options = [one for one in parsed if _is_composed(one)]
    return options, [one for one in parsed if not _is_composed(one)]


def _is_composed(override: Override) -> bool:
    name = override.key_or_group
    is_option = "/" in name or Path(CONF, name).is_dir() or name == "hydra.searchpath"
    return is_option or override.is_sweep_override()


def _lines(overrides: Sequence[Override]) -> tuple[str, ...]:
    return tuple(str(one.input_line) for one in overrides)


def _set_values(config: DictConfig, values: Sequence[Override]) -> None:
    """Sets them, and notes them as Hydra does; Hydra's own only where its node is there."""
    if "hydra" not in config:
        values = [one for one in values if not one.is_hydra_override()]
    ConfigLoaderImpl._apply_overrides_to_config(list(values), config)
    if "hydra" in config:
        noted = config.hydra.overrides
        for one in values:
            (noted.hydra if one.is_hydra_override() else noted.task).append(one.input_line)
