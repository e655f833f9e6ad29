"""The groups of settings: one dataclass a group, with types, ranges and cross-field rules.

The rules run when a composed config is turned into these objects, before anything is loaded; those
of init, ranks, alpha, budget and allocation stand in `allocation.plan`, which the root makes.
Values stand in `conf/`; nothing here has a default that a researcher would want to see there.
"""

import math
from dataclasses import dataclass, field, make_dataclass
from typing import Any, Literal, get_type_hints

from omegaconf import MISSING

from lora_sweep.adapters.kind import adapter_kinds, kind_settings
from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.allocation.init_schedules import FROM_RUN
from lora_sweep.allocation.mode import allocation_modes, own_settings
from lora_sweep.rules import (
    MOST_EPOCHS,
    MOST_NUMPY_SEED,
    MOST_STEPS,
    MOST_TEXTS,
    expand_home,
    is_positive,
    is_rate,
    require,
    require_count,
)
from lora_sweep.vocabulary import CACHE_SETTING, LORA_XS


@dataclass
class InitConfig:
    """Starting values of the allocation logits along depth; `fixed` has no logits at all.

    Attributes:
        name: of the init schedule or the calibration.
        values: logits of one's own, one a matrix in module order; for `values` only.
        run: folder of the finished run whose logits are taken; for `from_run` only.
        batches: of training texts that a calibration measures; for calibrations only.
        freeze: keep the integer ranks that the other run or the calibration gives, in place of
            logits; for these only.
    """

    name: str = MISSING
    values: list[float] | None = None
    run: str | None = None
    batches: int | None = None
    freeze: bool = False

    def __post_init__(self) -> None:
        if self.name == FROM_RUN:
            require(bool(self.run), "init.run", "a finished run's folder", self.run)
        else:
            self._require_unset("run", None, FROM_RUN)
        if self.calibrates:
            require_count("init.batches", self.batches or 0, 1, MOST_STEPS)
        else:
            self._require_unset("batches", None, *CALIBRATIONS)
        if not self.calibrates and self.name != FROM_RUN:
            self._require_unset("freeze", False, FROM_RUN, *CALIBRATIONS)

    @property
    def calibrates(self) -> bool:
        """Whether ranks come from the data."""
        return self.name in CALIBRATIONS

    def _require_unset(self, name: str, unset: bool | None, *owners: str) -> None:
        value, word = getattr(self, name), "null" if unset is None else "false"
        rule = f"{word} with init={self.name}, for it is of init={'|'.join(owners)}"
        require(value == unset, f"init.{name}", rule, value)


@dataclass
class RankConfig:
    """Rank range, and the rank that the budget pays for on average.

    A whole average is an integer, as `average=20` is typed: it stands so in settings and names.
    """

    min: int = MISSING
    max: int = MISSING
    average: float = MISSING

    def __post_init__(self) -> None:
        if math.isfinite(self.average) and self.average == int(self.average):
            self.average = int(self.average)


@dataclass
class AlphaConfig:
    """Sharpness of the soft mask at the first step and after the last."""

    min: float = MISSING
    max: float = MISSING
    schedule: str = MISSING


@dataclass
class LearningRateConfig:
    """Learning rates of the adapter (R) and of the head, and the schedule of all three rates."""

    adapter: float = MISSING
    head: float = MISSING
    schedule: Literal["linear", "constant"] = MISSING
    warmup_fraction: float = MISSING

    def __post_init__(self) -> None:
        for name, value in (("adapter", self.adapter), ("head", self.head)):
            require(is_rate(value), f"learning_rate.{name}", "at least 0 and finite", value)
        is_share = 0 <= self.warmup_fraction <= 1
        require(is_share, "learning_rate.warmup_fraction", "within 0 ... 1", self.warmup_fraction)


@dataclass
class BudgetConfig:
    """Rank budget over the epochs, as the average rank that it pays for (M_p = N average²)."""

    schedule: Literal["constant", "ramp"] = MISSING
    start_average: float = MISSING
    end_average: float = MISSING
    hold_epochs: float = MISSING
    move_epochs: float = MISSING

    def __post_init__(self) -> None:
        are_numbers = is_positive(self.start_average) and is_positive(self.end_average)
        if self.schedule == "constant" and are_numbers:
            rule = f"equal to budget.start_average={self.start_average:g} in a constant budget"
            is_same = self.start_average == self.end_average
            require(is_same, "budget.end_average", rule, self.end_average)


@dataclass
class AllocationConfig:
    """How the budget is split; see `AllocationSettings` for the settings of single modes.

    Attributes:
        mode: name of the allocation mode.
        tau: strength of the Gumbel noise in the soft mask, for modes that have some.
    """

    mode: str = MISSING
    tau: float = MISSING


def _mode_settings() -> dict[str, Any]:
    """Name -> type of every setting that single modes have."""
    return {
        name: get_type_hints(mode)[name]
        for mode in allocation_modes().values()
        for name in own_settings(mode)
    }


MODE_SETTINGS = tuple(_mode_settings())
"""Settings of single allocation modes; null, and no settings of a run, in the others."""
AllocationSettings = make_dataclass(
    "AllocationSettings",
    [(name, kind | None, field(default=None)) for name, kind in _mode_settings().items()],
    bases=(AllocationConfig,),
)
"""The schema of the group `allocation`: the settings of every mode."""
AllocationSettings.__module__ = __name__  # where other processes find it


@dataclass
class AdapterConfig:
    """What is trained of the base; see `AdapterSettings` for the settings of single kinds.

    Attributes:
        kind: name of the kind of adapter.
        match: most parameters that it may train without the head: a number, or `lora_xs` for
            what LoRA-XS's R costs at rank.average. Its rank is then the largest that fits (of
            tiny_lora: u). null to take the rank as it is.
    """

    kind: str = MISSING
    match: str | None = None

    def __post_init__(self) -> None:
        given = self.match
        is_known = given in (None, LORA_XS) or (given.isdecimal() and int(given) >= 1)
        require(is_known, "adapter.match", f"null, {LORA_XS} or a number of at least 1", given)


def _kind_settings() -> dict[str, Any]:
    """Name -> type of every setting that single kinds of adapters have."""
    return {
        name: get_type_hints(kind)[name]
        for kind in adapter_kinds().values()
        for name in kind_settings(kind)
    }


KIND_SETTINGS = tuple(_kind_settings())
"""Settings of single kinds of adapters; null, and no settings of a run, in the others."""
AdapterSettings = make_dataclass(
    "AdapterSettings",
    [(name, kind | None, field(default=None)) for name, kind in _kind_settings().items()],
    bases=(AdapterConfig,),
)
"""The schema of the group `adapter`: the settings of every kind."""
AdapterSettings.__module__ = __name__  # where other processes find it


@dataclass
class ModelConfig:
    """The frozen base, its head, and what they start from.

    Attributes:
        name, path: of the base; the path goes before the name.
        pooling: what the head reads: the first token, or the mean of all.
        dropout: of the base; null for its own.
        lora_alpha: factor on the update times rank.max.
        adapter_dropout: share of an adapter's inputs that a training step drops.
        adapted: ends of the names of the matrices that are adapted.
        factors: kind of the frozen factors of the adapted matrices.
        factors_seed: of kinds that draw; the same for all runs, which share the factors.
        adapter: folder of a finished run that R and head start from; null for a fresh start.
        adapter_head: true to take its head too, false to take R alone; null to take the head if
            both runs have the same labels.
    """

    name: str = MISSING
    path: str | None = None
    pooling: Literal["cls", "mean"] = MISSING
    dropout: float | None = None
    lora_alpha: float = MISSING
    adapter_dropout: float = MISSING
    adapted: list[str] = field(default_factory=list)
    factors: Literal["exact", "randomised", "random", "random_b", "orthogonal"] = MISSING
    factors_seed: int = MISSING
    adapter: str | None = None
    adapter_head: bool | None = None

    def __post_init__(self) -> None:
        is_share = self.dropout is None or 0 <= self.dropout < 1
        require(is_share, "model.dropout", "null or within 0 ... 1 (1 excluded)", self.dropout)
        require(
            is_positive(self.lora_alpha), "model.lora_alpha", "above 0 and finite", self.lora_alpha
        )
        share, rule = self.adapter_dropout, "within 0 ... 1 (1 excluded)"
        require(0 <= share < 1, "model.adapter_dropout", rule, share)
        rule = "a list of module-name endings, none of them empty"
        require(bool(self.adapted) and all(self.adapted), "model.adapted", rule, self.adapted)
        require_count("model.factors_seed", self.factors_seed, 0, MOST_NUMPY_SEED)
        rule = "null or a finished run's folder"
        require(self.adapter is None or bool(self.adapter), "model.adapter", rule, self.adapter)
        is_of_one = self.adapter is not None or self.adapter_head is None
        rule = "null without model.adapter"
        require(is_of_one, "model.adapter_head", rule, self.adapter_head)


@dataclass
class TrainingConfig:
    """Length of the training, batches, and what the optimiser is told besides its rates.

    Attributes:
        best_from: the epochs that the best one is looked for among: all from the `first` on, or
            those at whose end the rank budget has `settled`.
    """

    epochs: int = MISSING
    max_steps: int | None = None
    epochs_discrete: int = MISSING
    best_from: Literal["first", "settled"] = MISSING
    batch_size: int = MISSING
    evaluation_batch_size: int = MISSING
    weight_decay: float = MISSING
    max_gradient_norm: float = MISSING
    log_every: int = MISSING

    def __post_init__(self) -> None:
        require_count("training.epochs", self.epochs, 1, MOST_EPOCHS)
        if self.max_steps is not None:
            require_count("training.max_steps", self.max_steps, 1, MOST_STEPS)
        for name in ("batch_size", "evaluation_batch_size"):
            require_count(f"training.{name}", getattr(self, name), 1, MOST_TEXTS)
        require_count("training.log_every", self.log_every, 1, MOST_STEPS)
        within = f"within 0 ... training.epochs={self.epochs}"
        is_within = 0 <= self.epochs_discrete <= self.epochs
        require(is_within, "training.epochs_discrete", within, self.epochs_discrete)
        decay, norm = self.weight_decay, self.max_gradient_norm
        require(is_rate(decay), "training.weight_decay", "at least 0 and finite", decay)
        require(is_positive(norm), "training.max_gradient_norm", "above 0 and finite", norm)


_HALVING = {"min_epochs": "min_resource", "reduction_factor": "reduction_factor"}
PRUNER_SETTINGS: dict[str, dict[str, str]] = {
    "none": {},
    "median": {"n_startup_trials": "n_startup_trials", "n_warmup_epochs": "n_warmup_steps"},
    "successive_halving": _HALVING,
    "hyperband": _HALVING,
    "wilcoxon": {"p_threshold": "p_threshold"},
}
"""Name of each pruner -> its settings, with what Optuna calls them."""


@dataclass
class PrunerConfig:
    """Which trials of a search end early; None for settings of other pruners.

    It changes how long a run trains, and no run's numbers up to there.
    """

    name: Literal["none", "median", "successive_halving", "hyperband", "wilcoxon"] = MISSING
    n_startup_trials: int | None = None
    n_warmup_epochs: int | None = None
    min_epochs: int | None = None
    reduction_factor: int | None = None
    p_threshold: float | None = None

    def __post_init__(self) -> None:
        least = {
            "n_startup_trials": 0,
            "n_warmup_epochs": 0,
            "min_epochs": 1,
            "reduction_factor": 2,
        }
        for name, limit in least.items():
            value = getattr(self, name)
            require(value is None or value >= limit, f"pruner.{name}", f"at least {limit}", value)
        is_share = self.p_threshold is None or 0 <= self.p_threshold <= 1
        require(is_share, "pruner.p_threshold", "within 0 ... 1", self.p_threshold)
        own, rule = PRUNER_SETTINGS[self.name], f"null with pruner={self.name}"
        for name in (*least, "p_threshold"):
            value = getattr(self, name)
            require(value is None or name in own, f"pruner.{name}", rule, value)


@dataclass
class TrackerConfig:
    """Where runs are shown besides their own files; no setting of a run, so it changes none."""

    name: Literal["none", "tensorboard", "wandb"] = MISSING


@dataclass
class PathsConfig:
    """Where sweeps and caches lie; nothing else knows of places."""

    outputs: str = MISSING
    sweep: str = MISSING
    cache: str = MISSING

    def __post_init__(self) -> None:
        name = self.sweep
        is_name = name not in {"", ".", ".."} and not set("/\\\0") & set(name)
        require(is_name, "paths.sweep", "a folder name without / or \\", name)
        self.outputs = str(expand_home("paths.outputs", self.outputs))
        self.cache = str(expand_home(CACHE_SETTING, self.cache))
