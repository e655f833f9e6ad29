"""Overrides, of `hydra.sweeper.params` and the command line -> what is searched, what is fixed."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from lora_sweep.errors import SettingError
from lora_sweep.rules import require
from lora_sweep.search.space import RANKS, Space


def split_overrides(
    parser: OverridesParser, params: Mapping[str, Any], arguments: Sequence[str]
) -> tuple[dict[str, BaseDistribution], list[str]]:
    """Returns setting -> distribution of what is searched, and the other overrides as they are.

    What is typed takes the preset's place: a setting that of its name, an option of a group all
    of the group's settings, which would else be searched in spite of it.

    Args:
        parser: Hydra's.
        params: setting -> range or choices of the preset.
        arguments: overrides of the command line; of several of one setting, the last one holds.

    Raises:
        SettingError: a range is none that Optuna takes, or seeds are searched.
    """
    preset = parser.parse_overrides([f"{name}={values}" for name, values in params.items()])
    typed = parser.parse_overrides(list(arguments))
    groups = tuple(f"{override.key_or_group}." for override in typed)
    left = [override for override in preset if not override.key_or_group.startswith(groups)]
    last = {override.get_key_element(): override for override in [*left, *typed]}
    _require_no_seeds(last)
    searched = {
        name: _distribution(name, override)
        for name, override in last.items()
        if override.is_sweep_override()
    }
    return searched, [str(last[name].input_line) for name in last if name not in searched]


def space_of(searched: Mapping[str, BaseDistribution], base: DictConfig) -> Space:
    """Returns the search space, with integers for integer settings and real numbers for real ones.

    Args:
        searched: setting -> distribution as it was written.
        base: the config without what is searched.

    Raises:
        SettingError: bounds of an integer setting are no integers, or no ranks are possible.
    """
    typed = {name: _typed(name, each, base) for name, each in searched.items()}
    return Space.of(typed, {name: OmegaConf.select(base, name) for name in RANKS})


def _require_no_seeds(given: Mapping[str, Override]) -> None:
    """Refuses seeds as values of a search: it would choose the luckiest one."""
    rule = "one number in a search (n_seeds=3 gives each trial three seeds, from seed on)"
    for name in ("seed", "n_seeds"):
        override = given.get(name)
        if override is not None:
            require(not override.is_sweep_override(), name, rule, override.input_line)


def _distribution(name: str, override: Override) -> BaseDistribution:
    try:
        distribution = create_optuna_distribution_from_override(override)
    except (ValueError, AssertionError, NotImplementedError) as error:
        raise SettingError(
            f"{name} must be a range or choices that Optuna takes, but got "
            f"{override.input_line}: {error}"
        ) from error
    assert isinstance(distribution, BaseDistribution)
    return distribution


def _typed(name: str, distribution: BaseDistribution, base: DictConfig) -> BaseDistribution:
    """`interval(1,10)` of a real setting is a real range, whatever its bounds look like.

    Ranks are searched among integers, the average too.
    """
    kind = int if name in RANKS else type(OmegaConf.select(base, name))
    is_interval = isinstance(distribution, IntDistribution) and distribution.step == 1
    if kind is float and is_interval:
        assert isinstance(distribution, IntDistribution)
        return FloatDistribution(distribution.low, distribution.high, log=distribution.log)
    if kind is int and isinstance(distribution, FloatDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step or 1.0
        if not all(bound.is_integer() for bound in (low, high, step)):
            raise SettingError(
                f"{name} must be searched among integers, but got {low:g} ... {high:g}"
            )
        return IntDistribution(int(low), int(high), log=distribution.log, step=int(step))
    return distribution
