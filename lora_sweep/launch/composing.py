"""Composes the jobs of a sweep: options of groups by Hydra, and once; single values in a copy.

Hydra takes a sixth of a second for a config, nearly all of it for the options of groups. The jobs
of a sweep share most of these and differ by values (`lr=0.002`), which are set in a moment.
"""

import copy
from collections.abc import Sequence

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
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Returns a job's whole config, Hydra's own node with it; nobody else has it.

        Args:
            overrides: of the job.

        Raises:
            HydraException: an override names nothing, or its value is of another type.
        """
        parsed = self._parser.parse_overrides(list(overrides))
        values = [one for one in parsed if _is_plain_value(one)]
        options = tuple(str(one.input_line) for one in parsed if not _is_plain_value(one))
        config = copy.deepcopy(self._of_options(options))
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

    def _of_options(self, options: tuple[str, ...]) -> DictConfig:
        if options not in self._composed:
            self._composed[options] = self._load(options)
        return self._composed[options]

    def _load(self, overrides: Sequence[str]) -> DictConfig:
        return self.context.config_loader.load_sweep_config(self.master, list(overrides))


def _is_plain_value(override: Override) -> bool:
    """Whether it only sets one setting to another value: `lr=0.002`, `training.epochs=3`."""
    name = override.key_or_group
    is_setting = name in VALUES or ("." in name and not override.is_hydra_override())
    is_change = override.type is OverrideType.CHANGE and override.package is None
    return is_setting and is_change and not override.is_sweep_override()
