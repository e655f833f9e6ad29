"""Composes the jobs of a sweep: options of groups by Hydra, and once; single values in a copy.

Hydra takes a fifth of a second for a config, nearly all of it for the options of groups. The jobs
of a sweep share most of these, often with the sweep's own config, and differ by values
(`lr=0.002`), which are set in a moment.
"""

import pickle
from collections.abc import Sequence
from functools import cached_property

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

VALUES = ("lr", "seed", "n_seeds", "device", "precision", "compile", "finished")
"""Settings without a group. Those of a group have a point in their name; groups have none."""


class Composer:
    """Gives the configs that Hydra's own loader gives for the jobs of one sweep.

    Attributes:
        context, master: Hydra's, and the config of the sweep.
    """

    def __init__(self, context: HydraContext, master: DictConfig) -> None:
        """Takes what Hydra gives to sweepers and launchers."""
        self.context, self.master = context, master
        self._parser = OverridesParser.create()
        self._composed: dict[tuple[str, ...], bytes] = {}
        task = self._parser.parse_overrides(list(master.hydra.overrides.task))
        self._own = _split([one for one in task if not one.is_sweep_override()])

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Returns a job's whole config, Hydra's own node with it; nobody else has it.

        Args:
            overrides: of the job.

        Raises:
            HydraException: an override names nothing, or its value is of another type.
        """
        parsed = self._parser.parse_overrides(list(overrides))
        options, values = _split(parsed)
        config = unpickled(self._base(options, values))
        try:
            for one in values:
                OmegaConf.update(config, one.key_or_group, one.value(), merge=True)
        except (HydraException, OmegaConfBaseException):
            # Hydra's loader says in its own words what is wrong.
            return self._load(overrides)
        own = [str(one.input_line) for one in parsed if not one.is_hydra_override()]
        config.hydra.overrides.task = own
        OmegaConf.copy_cache(from_config=self.master, to_config=config)
        return config

    def _base(self, options: Sequence[Override], values: Sequence[Override]) -> bytes:
        """What a job's values are set in, pickled."""
        lines = _lines(options)
        own_options, own_values = self._own
        if lines == _lines(own_options) and _names(own_values) <= _names(values):
            return self._of_sweep
        if lines not in self._composed:
            self._composed[lines] = pickled(self._load(lines))
        return self._composed[lines]

    @cached_property
    def _of_sweep(self) -> bytes:
        """The sweep's config as a job's: not locked, and without the mode that Hydra has noted."""
        config = unpickled(pickled(self.master))
        OmegaConf.set_readonly(config.hydra, False)
        typed = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
        if not any(str(one).startswith("hydra.mode=") for one in typed):  # type: ignore[union-attr]
            config.hydra.mode = None
        return pickled(config)

    def _load(self, overrides: Sequence[str]) -> DictConfig:
        return self.context.config_loader.load_sweep_config(self.master, list(overrides))


def pickled(config: DictConfig) -> bytes:
    """Returns a config as it is kept for many jobs: in a seventh of the memory of its objects.

    Args:
        config: of a job, or of a sweep.
    """
    return pickle.dumps(config)


def unpickled(config: bytes) -> DictConfig:
    """Returns a config that nobody else has, six times as fast as a deep copy makes one.

    Args:
        config: from `pickled`, of this process.
    """
    found: DictConfig = pickle.loads(config)
    return found


def _split(overrides: Sequence[Override]) -> tuple[list[Override], list[Override]]:
    """The options, which Hydra composes, and the plain values."""
    values = [one for one in overrides if _is_plain_value(one)]
    return [one for one in overrides if not _is_plain_value(one)], values


def _lines(overrides: Sequence[Override]) -> tuple[str, ...]:
    return tuple(str(one.input_line) for one in overrides)


def _names(overrides: Sequence[Override]) -> set[str]:
    return {one.key_or_group for one in overrides}


def _is_plain_value(override: Override) -> bool:
    """Whether it only sets one setting to another value: `lr=0.002`, `training.epochs=3`."""
    name = override.key_or_group
    is_setting = name in VALUES or ("." in name and not override.is_hydra_override())
    is_change = override.type is OverrideType.CHANGE and override.package is None
    return is_setting and is_change and not override.is_sweep_override()
