"""What is checked and made ready before a search starts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import Trial

from lora_sweep.config.schema import PrunerConfig
from lora_sweep.config.store import task_config
from lora_sweep.rules import require
from lora_sweep.search.jobs import Jobs
from lora_sweep.search.overrides import space_of
from lora_sweep.search.pruning import make_pruner
from lora_sweep.search.samplers import GridSampler, make_sampler, sampler_name
from lora_sweep.search.search import Named, Search, log
from lora_sweep.search.settings import SearchSettings
from lora_sweep.search.storage import open_storage, storage_place
from lora_sweep.search.trials import TrialQueue, one_at_a_time

MAY_CHANGE = ("paths.", "pruner.", "device", "compile", "finished", "training.log_every")
"""Settings that another command of the same search may state otherwise."""


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
    low, _ = [jobs.cell(corner) for corner in space.corners()]
    jobs.launcher.check(low)
    place = storage_place(settings.storage, jobs.sweep_dir)
    pruner = PrunerConfig(**OmegaConf.to_container(base.pruner))  # type: ignore[arg-type]
    study, storage = _open_study(settings, jobs, place)
    study.pruner = make_pruner(pruner, n_epochs=base.training.epochs)
    queue = TrialQueue(study, storage, jobs.sweep_dir, space, _extension(settings, jobs))
    queue.check({**_lasting(base, searched), "hydra.sweeper.direction": [*settings.directions]})
    seed = settings.sampler.get("seed")
    study.sampler = sampler = make_sampler(
        settings.sampler,
        space,
        seed=queue.seed() if seed is None else seed,
        n_jobs=settings.n_jobs,
    )
    if isinstance(sampler, GridSampler):
        settings = _within_grid(settings, len(sampler.combinations))
    named = Named(place, sampler_name(settings.sampler), pruner.name)
    return Search(settings, queue, jobs, named)


def _open_study(settings: SearchSettings, jobs: Jobs, place: str) -> tuple[Study, BaseStorage]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what happens is said in our own log
    with one_at_a_time(jobs.sweep_dir):
        storage = open_storage(place)
        study = optuna.create_study(
            storage=storage,
            study_name=settings.study_name or jobs.sweep_dir.name,
            directions=settings.directions,
            load_if_exists=True,
        )
    return study, storage


def _extension(settings: SearchSettings, jobs: Jobs) -> Callable[[Trial], object] | None:
    """The user's own function that proposes more settings."""
    if settings.custom_search_space is None:
        return None
    function = instantiate(
        {"_target_": settings.custom_search_space, "_partial_": True},
        _execution_whitelist_=jobs.composer.context.execution_whitelist,
    )
    return partial(function, jobs.composer.master)


def _lasting(base: DictConfig, searched: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted name -> value of what must stay the same for trials to be comparable."""
    flat = _flat(OmegaConf.to_container(task_config(base), resolve=True), "")
    not_fixed = (*MAY_CHANGE, *searched, *[f"{name}." for name in searched])
    return {name: value for name, value in flat.items() if not name.startswith(not_fixed)}


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
    return replace(
        settings,
        n_trials=min(settings.n_trials, n_combinations),
        confirm=vars(settings.confirm),
    )
