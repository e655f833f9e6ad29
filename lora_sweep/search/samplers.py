"""Samplers that go on where a search stopped, and propose possible combinations only."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from lora_sweep.error_lines import first_line
from lora_sweep.errors import SettingError
from lora_sweep.rules import require
from lora_sweep.search.space import RANKS, Params, Space

SAMPLERS = ("tpe", "gp", "random", "grid", "qmc", "nsgaii")
"""Those that are tested to go on where a search stopped."""
MAY_EXECUTE = ("optuna.samplers.*", "hydra_plugins.hydra_optuna_sweeper.*")


class SteadySampler(BaseSampler):
    """Another sampler, made anew for every trial from the search's seed and the trial's number.

    So what is proposed depends on seed, number and the trials that are finished, and on nothing
    that a stopped process takes with it. The ranks that it proposes are made possible before
    Optuna stores them, so that its models learn from what was trained.
    """

    def __init__(self, make: Callable[[int], BaseSampler], space: Space) -> None:
        """Takes how a sampler is made for a trial's number, and what is searched."""
        self._make, self._space = make, space
        self._current: tuple[int, BaseSampler] | None = None

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            self._current = trial.number, self._make(trial.number)
        return self._current[1]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns what is proposed together: all searched ranks, or none of them."""
        together = self._of(trial).infer_relative_search_space(study, trial)
        ranks = {name for name, each in self._space.distributions.items() if name in RANKS}
        alone = set() if ranks <= set(together) else ranks
        return {name: each for name, each in together.items() if name not in alone}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Returns settings that are proposed together."""
        return self._space.repaired(self._of(trial).sample_relative(study, trial, search_space))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns one setting, within what those before it leave possible."""
        narrowed = self._space.narrowed(param_name, trial.params)
        if narrowed.single():
            return self._space.possible(param_name, trial.params)[0]
        value = self._of(trial).sample_independent(study, trial, param_name, narrowed)
        return self._space.nearest(param_name, value, trial.params)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Called by Optuna before a trial is proposed."""
        self._of(trial).before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Called by Optuna when it is told what became of a trial."""
        self._of(trial).after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Does nothing: there is no state but the seed."""


class GridSampler(BaseSampler):
    """All possible combinations, one after the other, by the trial's number."""

    def __init__(self, combinations: Sequence[Params]) -> None:
        """Takes the combinations."""
        self.combinations = combinations

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns nothing: every setting is looked up alone."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Returns nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns one setting of the trial's combination."""
        return self.combinations[trial.number % len(self.combinations)][param_name]


def sampler_name(config: DictConfig) -> str:
    """Returns a sampler's name as in `hydra/sweeper/sampler=NAME`."""
    last = str(config.get("_target_", "")).rpartition(".")[2]
    name = last.removeprefix("create_").removesuffix("_sampler").removesuffix("Sampler")
    return name.lower()


def make_sampler(config: DictConfig, space: Space, *, seed: int) -> BaseSampler:
    """Returns the sampler of a search.

    What is under way counts too, whoever trains it: TPE takes those trials for bad ones, or it
    would propose the same again, and GP averages over what they may come to.

    Args:
        config: an option of `hydra/sweeper/sampler`.
        space: what is searched.
        seed: of the search.

    Raises:
        SettingError: there is no such sampler, or it can't work with its settings.
    """
    name = sampler_name(config)
    require(name in SAMPLERS, "hydra/sweeper/sampler", f"one of {', '.join(SAMPLERS)}", name)
    if name == "grid":
        return GridSampler(space.combinations())
    changed = {"constant_liar": True} if name == "tpe" else {}

    def make(number: int) -> BaseSampler:
        # A quasi-random sequence counts its points in the study, and is one by its seed.
        own = seed if name == "qmc" else _seed_of(seed, number)
        settings = OmegaConf.merge(config, {"seed": own}, changed)
        sampler = instantiate(settings, _execution_whitelist_=MAY_EXECUTE)
        assert isinstance(sampler, BaseSampler)
        return sampler

    try:
        make(0)
    except Exception as error:
        raise SettingError(
            "hydra/sweeper/sampler must be one that can be made with its settings, but got "
            f"{name}: {first_line(error.__cause__ or error)}"
        ) from error
    return SteadySampler(make, space)


def _seed_of(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
