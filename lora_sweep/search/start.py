"""What is checked and made ready before a search starts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution

from lora_sweep.config.run import RunConfig
from lora_sweep.config.schema import PrunerConfig
from lora_sweep.config.store import task_config
from lora_sweep.execution.content import content_of
from lora_sweep.execution.inputs import load_corpus
from lora_sweep.execution.plans import length_of
from lora_sweep.launch.cells import Cell
from lora_sweep.rules import require
from lora_sweep.search.jobs import Jobs
from lora_sweep.search.overrides import space_of
from lora_sweep.search.pruning import make_pruner
from lora_sweep.search.samplers import GridSampler, make_sampler, sampler_name
from lora_sweep.search.search import Named, Search, log
from lora_sweep.search.settings import SearchSettings
from lora_sweep.search.space import Space, in_words
from lora_sweep.search.storage import storage_place
from lora_sweep.search.study import Common, check_common, open_study
from lora_sweep.search.trials import TrialQueue
from lora_sweep.vocabulary import SPELLED

MAY_CHANGE = ("paths", "pruner", "tracker", "device", "compile", "finished", "training.log_every")
"""Settings, or groups, that another command of the same search may state otherwise."""


def open_search(
    settings: SearchSettings, jobs: Jobs, searched: Mapping[str, BaseDistribution]
) -> Search:
    """Returns the search, ready to go on; no trial is begun.

    Args:
        settings: of the sweeper.
        jobs: how trials are started.
        searched: setting -> its values.

    Raises:
        LoraSweepError: a setting is wrong, an input is missing, or the storage is not reachable.
    """
    rule = "settings to search, with their ranges"
    require(bool(searched), "hydra.sweeper.params", rule, "none")
    base = jobs.composer.compose(jobs.fixed)
    rule = "skip in a search: its study keeps what was found; choose another paths.sweep=NAME"
    require(base.finished == "skip", "finished", rule, base.finished)
    space = space_of(searched, base)
    low, high = [jobs.cell(corner) for corner in space.corners()]
    for cell in (low, high):  # the largest rank may not fit into the base
        jobs.launcher.check(cell)
    place = storage_place(settings.storage, jobs.sweep_dir)
    pruner = PrunerConfig(**OmegaConf.to_container(base.pruner))  # type: ignore[arg-type]
    if pruner.name != "none":
        jobs.launcher.check_trials(low, pruner.name)
    study, storage = open_study(settings, jobs.sweep_dir, place)
    n_epochs = max(_n_epochs(low.config), _n_epochs(high.config))
    study.pruner = make_pruner(pruner, n_epochs=n_epochs)
    queue = TrialQueue(study, storage, jobs.sweep_dir, space)
    seed = settings.sampler.get("seed")
    study.sampler = sampler = make_sampler(
        settings.sampler,
        space,
        seed=queue.seed() if seed is None else seed,
    )
    # Last, so that nothing is noted of a command that is refused.
    check_common(study, jobs.sweep_dir, _common(settings, base, space, low))
    if isinstance(sampler, GridSampler):
        settings = _within_grid(settings, len(sampler.combinations))
    named = Named(place, sampler_name(settings.sampler), pruner.name)
    return Search(settings, queue, jobs, named, n_seeds=len(low.runs))


def _n_epochs(config: RunConfig) -> int:
    """Epochs of a cell's trainings; the corpus is looked at only where its size decides."""
    if config.training.max_steps is None:
        return config.training.epochs
    return length_of(config, len(load_corpus(config.data).train)).n_epochs


def _common(settings: SearchSettings, base: DictConfig, space: Space, low: Cell) -> Common:
    """What must stay the same for trials to be comparable, and of one space.

    Base, files and runs to start from are known by what they hold, wherever they lie.
    """
    searched = {
        name: f"searched in {in_words(each)}" for name, each in space.distributions.items()
    }
    flat = _flat(OmegaConf.to_container(task_config(base), resolve=True), "")
    fixed = {
        name: value
        for name, value in flat.items()
        if not any(_is_of(name, other) for other in (*MAY_CHANGE, *SPELLED, *searched))
    }
    fixed |= content_of(low.config)
    fixed["hydra.sweeper.direction"] = settings.directions
    return Common(searched, fixed)


def _is_of(name: str, other: str) -> bool:
    """Whether a setting is the other one, or of that group."""
    return name == other or name.startswith(f"{other}.")


def _flat(fields: Any, prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        is_group = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{name}.") if is_group else {f"{prefix}{name}": value}
    return flat


def _within_grid(settings: SearchSettings, n_combinations: int) -> SearchSettings:
    if settings.n_trials < n_combinations:
        log.warning(
            "the grid has %d possible combinations: hydra.sweeper.n_trials=%d of them are tried",
            n_combinations,
            settings.n_trials,
        )
    return replace(settings, n_trials=min(settings.n_trials, n_combinations))
