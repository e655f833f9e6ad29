"""The root of a config, the rules across its groups, and a run's settings and name.

A run's settings are what can change its result: a flat dict, dotted name -> value, None where a
setting has no effect. Configs that come to the same run have the same settings, so they have the
same folder, and are trained once.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import MISSING, DictConfig, OmegaConf

from lora_sweep.adapters.kind import AdapterKind
from lora_sweep.allocation.init_schedules import FROM_RUN
from lora_sweep.allocation.mode import allocation_modes
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.config.adapter import adapter_kind
from lora_sweep.config.allocation import allocation_plan
from lora_sweep.config.data import DataConfig, SubsetConfig
from lora_sweep.config.schema import (
    KIND_SETTINGS,
    MODE_SETTINGS,
    AdapterConfig,
    AllocationConfig,
    AlphaConfig,
    BudgetConfig,
    InitConfig,
    LearningRateConfig,
    ModelConfig,
    PathsConfig,
    PrunerConfig,
    RankConfig,
    TrackerConfig,
    TrainingConfig,
)
from lora_sweep.errors import SettingError
from lora_sweep.rules import (
    MOST_RUNS_A_CELL,
    MOST_SEED,
    absolute,
    is_rate,
    require,
    require_count,
)
from lora_sweep.vocabulary import FIXED, FROZEN, LORA_XS, ONLY_LEARNT, SPELLED, UNSAID

Settings = dict[str, Any]

_GROUPS = (
    "rank", "alpha", "budget", "allocation", "learning_rate", "model", "data", "training",
    "adapter",
)  # fmt: skip
# What has no effect on cut ranks, on another run's, and on those from the data.
_ONLY_BY_LOGITS = ("lr", "training.epochs_discrete", "alpha.", "budget.", "allocation.tau")
_ONLY_WITHOUT_FREEZE = (*ONLY_LEARNT, "rank.average")
_ONLY_LEARNT_FROM_DATA = tuple(name for name in ONLY_LEARNT if name != "rank.min")
_NO_EFFECT = ("training.log_every", "adapter.match")
# Of single corpora, modes and starts: no settings of a run while they are null.
_IF_GIVEN = (
    *("data.seed", "data.n_train", "data.n_dev", "data.positive"),
    *("model.adapter", "model.adapter_head"),
    *(*UNSAID, "model.factors_seed"),
    *("training.max_steps", "training.best_from"),
    *(f"allocation.{name}" for name in MODE_SETTINGS),
    *(f"adapter.{name}" for name in KIND_SETTINGS),
    "model.adapted",
)
_UNNAMED_MODES = ("published", "capped")
"""Runs of these have the name of their init alone, and differ by the hash."""


@dataclass
class RunConfig:
    """All settings of a cell: one group a part, and what has no group.

    Attributes:
        lr: learning rate of the allocation logits, the study's swept one.
        seed: fixes every generator of the run.
        n_seeds: runs of this cell, with seeds seed ... seed + n_seeds - 1.
        device: where to train; `auto` takes CUDA if it is there.
        precision: of the encoder's products; what is trained stays float32.
        compile: whether torch compiles the encoder, which takes minutes once a process and makes
            each step somewhat faster; the numbers are the same up to rounding.
        finished: what becomes of finished runs: `skip`, or `overwrite` to train them again.
    """

    init: InitConfig = MISSING
    rank: RankConfig = MISSING
    alpha: AlphaConfig = MISSING
    budget: BudgetConfig = MISSING
    allocation: AllocationConfig = MISSING
    adapter: AdapterConfig = MISSING
    learning_rate: LearningRateConfig = MISSING
    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    training: TrainingConfig = MISSING
    paths: PathsConfig = MISSING
    pruner: PrunerConfig = MISSING
    tracker: TrackerConfig = MISSING
    lr: float = MISSING
    seed: int = MISSING
    n_seeds: int = MISSING
    device: Literal["auto", "cpu", "cuda"] = MISSING
    precision: Literal["float32", "bfloat16"] = MISSING
    compile: bool = MISSING
    finished: Literal["skip", "overwrite"] = MISSING

    def __post_init__(self) -> None:
        require(is_rate(self.lr), "lr", "at least 0 and finite", self.lr)
        require_count("n_seeds", self.n_seeds, 1, MOST_RUNS_A_CELL)
        # The cell's last seed has its limit too.
        require_count("seed", self.seed, 0, MOST_SEED + 1 - self.n_seeds)
        self.allocation_plan()  # runs its rules
        kind = self.adapter_kind()
        is_fixed = self.has_fixed_ranks or (kind.matches_rank and self.adapter.match is not None)
        is_chosen = not is_fixed or (self.calibrates and self.adapter.match is None)
        if kind.has_matrices and not kind.learns_ranks and is_chosen:
            ranks = f"{self.rank.min} ... {self.rank.max}"
            rule = f"fixed, or rank.min equal to rank.max, with adapter={kind.name}"
            require(False, "init", rule, f"{self.init.name} over the ranks {ranks}")
        mode = self.allocation_plan().mode
        if kind.name != LORA_XS and not self.has_fixed_ranks and not mode.takes_costs:
            known = ", ".join(
                sorted(n for n, one in allocation_modes().items() if one.takes_costs)
            )
            rule = f"one of {known} with adapter={kind.name}"
            reason = f"{mode.name}, which keeps to no budget but one in entries of LoRA-XS's R"
            require(False, "allocation.mode", rule, reason)

    def adapter_kind(self) -> AdapterKind:
        """Returns what is trained of the base."""
        return adapter_kind(self.adapter)

    def allocation_plan(self) -> AllocationPlan:
        """Returns how the cell's runs allocate ranks, without what they take from other runs."""
        return allocation_plan(self, frozen_ranks=() if self.init.freeze else None)

    @property
    def has_fixed_ranks(self) -> bool:
        """Whether there is nothing to allocate: no logits, or a rank range of one rank."""
        return self.allocation_plan().has_fixed_ranks

    @property
    def has_logits(self) -> bool:
        """Whether ranks follow trained logits."""
        return self.allocation_plan().has_logits

    @property
    def calibrates(self) -> bool:
        """Whether the runs' ranks, or the starts of their logits, come from the data."""
        has_choice = self.rank.min < self.rank.max and self.adapter_kind().has_matrices
        return self.init.calibrates and has_choice and (self.init.freeze or self.has_logits)


def to_run_config(config: DictConfig) -> RunConfig:
    """Returns the typed config, after all its rules.

    Args:
        config: as Hydra composes it, without its own node.

    Raises:
        SettingError: a setting that nobody knows, a missing value, or a broken rule.
    """
    missing = sorted({*OmegaConf.missing_keys(config), *_deleted(config)})
    if missing:
        advice = " ".join(f"{name}=VALUE" for name in missing)
        names = " and ".join(missing)
        raise SettingError(f"{names} must be given, but got nothing: add {advice}")
    run_config = OmegaConf.to_object(config)
    assert isinstance(run_config, RunConfig)
    _refuse_unknown(config, run_config, "")
    return run_config


def _deleted(config: DictConfig) -> list[str]:
    """Names of the settings that `~name` took out of the config."""
    fields = dataclasses.fields(OmegaConf.get_type(config))  # type: ignore[arg-type]
    kept = set(config.keys())
    deleted = [field.name for field in fields if field.name not in kept]
    for name in map(str, kept):
        # Values are not asked for: each would be resolved, and a sweep has hundreds of configs.
        is_group = dataclasses.is_dataclass(OmegaConf.get_type(config, name))
        if is_group and not OmegaConf.is_missing(config, name):
            deleted += [f"{name}.{inner}" for inner in _deleted(config[name])]
    return deleted


def run_settings(
    config: RunConfig, seed: int, content: Mapping[str, str] | None = None
) -> Settings:
    """Returns the settings of the cell's run with this seed.

    Args:
        config: of the cell.
        seed: of the run.
        content: `model.content`, `data.content`, ... -> digest of what the settings in `SPELLED`
            name; None for none.
    """
    settings: Settings = {
        "init": _init_setting(config),
        "lr": config.lr,
        "seed": seed,
        "precision": config.precision,
    }
    if settings["init"] == "values":
        settings["init.values"] = config.init.values
    if config.calibrates:
        settings["init.batches"] = config.init.batches
    for group in _GROUPS:
        for name, value in dataclasses.asdict(getattr(config, group)).items():
            settings[f"{group}.{name}"] = value
    settings |= _places(config)
    if settings["init"] not in (FROM_RUN, FROM_RUN + FROZEN):
        settings.pop("init.run", None)
    settings |= _flat_schedules(config)
    if not config.allocation_plan().has_moving_budget:
        settings["training.best_from"] = None
    if isinstance(config.data, SubsetConfig) and config.data.is_whole:
        settings["data.seed"] = None
    settings |= {name: None for name, own in UNSAID.items() if settings[name] == own}
    if settings["model.factors"] is None:
        settings["model.factors_seed"] = None
    without_effect = (
        *_without_effect(config, settings["init"]),
        *config.adapter_kind().idle,
    )
    for name in list(settings):
        if name.startswith(without_effect):
            settings[name] = None
        if name in _NO_EFFECT or (name in _IF_GIVEN and settings[name] is None):
            del settings[name]
    return settings | dict(content or {})


def _without_effect(config: RunConfig, init: str) -> tuple[str, ...]:
    """Settings, or starts of their names, that have none with what the run has for an init."""
    if init == FIXED:
        return ONLY_LEARNT
    if init.endswith(FROZEN):
        return _ONLY_LEARNT_FROM_DATA if config.calibrates else _ONLY_WITHOUT_FREEZE
    return () if config.has_logits else _ONLY_BY_LOGITS


def _flat_schedules(config: RunConfig) -> Settings:
    """What schedules that stay where they are leave without effect."""
    flat: Settings = {}
    if config.budget.start_average == config.budget.end_average:
        flat |= {"budget.schedule": "constant"}
        flat |= dict.fromkeys(("budget.hold_epochs", "budget.move_epochs"))
    if config.alpha.min == config.alpha.max:
        flat["alpha.schedule"] = None
    if config.learning_rate.schedule == "constant":
        flat["learning_rate.warmup_fraction"] = None
    return flat


def _places(config: RunConfig) -> Settings:
    """The settings that name paths, with paths that are right from any folder."""
    places: Settings = dict(config.data.places())
    if config.model.path is not None:
        places["model.path"] = path = absolute("model.path", config.model.path)
        places["model.name"] = Path(path).name  # the option's name is of another base
    if config.model.adapter is not None:
        places["model.adapter"] = absolute("model.adapter", config.model.adapter)
    if config.init.run is not None:
        places["init.run"] = absolute("init.run", config.init.run)
    return places


def identity(settings: Settings) -> Settings:
    """Returns what makes a run the run that it is: its settings without where things lie."""
    return {name: value for name, value in settings.items() if name not in SPELLED}


def _init_setting(config: RunConfig) -> str:
    """The init schedule; a run without logits says what it has instead."""
    if not config.adapter_kind().has_matrices:
        return FIXED
    if config.init.freeze and (config.calibrates or config.init.name == FROM_RUN):
        return config.init.name + FROZEN
    if config.has_fixed_ranks:
        return FIXED
    return config.init.name if config.has_logits else config.allocation.mode


def run_name(settings: Settings) -> str:
    """Returns the name of the run's folder: readable, and unique by a hash of all settings."""
    return f"{_readable(settings)}-seed{settings['seed']}-{_digest(identity(settings))}"


def cell_name(settings: Settings) -> str:
    """Returns the name that the runs of all seeds of a cell have in common, and no others."""
    others = {name: value for name, value in identity(settings).items() if name != "seed"}
    return f"{_readable(settings)}-{_digest(others)}"


def _digest(settings: Settings) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]


def _readable(settings: Settings) -> str:
    """How a run allocates, for people."""
    kind = settings.get("adapter.kind")
    low, lr = settings["rank.min"], settings["lr"]
    average = settings["rank.average"]
    most = settings["rank.max"] if average is None else average
    ranks = "" if low is None else f"{low}_{settings['rank.max']}_"
    parts = [] if kind is None else [kind]
    parts += [settings["init"]] if kind is None or settings["init"] != FIXED else []
    mode = settings["allocation.mode"]
    parts += [] if mode in (None, *_UNNAMED_MODES, settings["init"]) else [mode]
    parts += [] if most is None else [f"r{ranks}{most:g}"]
    parts += [] if lr is None else [f"lr{lr:g}"]
    return "-".join(parts)


def _refuse_unknown(config: DictConfig, typed: Any, prefix: str) -> None:
    """`+name=value` adds a key that the typed object drops: say so instead."""
    known = {field.name for field in dataclasses.fields(typed)}
    for key in map(str, config):
        if key not in known:
            raise SettingError(
                f"{prefix}{key} is no setting: {prefix.removesuffix('.') or 'the root'} has "
                f"{', '.join(sorted(known))}, but got {key}"
            )
        value = getattr(typed, key)
        if dataclasses.is_dataclass(value):
            _refuse_unknown(config[key], value, f"{prefix}{key}.")
