"""The groups of settings: one dataclass a group, with types, ranges and cross-field rules.

The rules run when a composed config is turned into these objects, before anything is loaded.
Values stand in `conf/`; nothing here has a default that a researcher would want to see there.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from omegaconf import MISSING

from lora_sweep.config.rules import is_positive, is_rate, require

IMPORTANCE_SETTINGS = ("warmup_fraction", "final_fraction", "every", "beta1", "beta2")
"""Settings of `allocation=importance`; null, and no settings of a run, in the other modes."""


@dataclass
class InitConfig:
    """Starting values of the allocation logits along depth; `fixed` has no logits at all.

    Attributes:
        name: of the init schedule.
        values: logits of one's own, one a matrix in module order; for `values` only.
        run: folder of the finished run whose logits are taken; for `from_run` only.
        freeze: take its integer ranks instead, and keep them; for `from_run` only.
    """

    name: Literal[
        "uniform", "randn", "quadratic", "left_skewed", "right_skewed", "linear", "spectral",
        "values", "from_run", "fixed",
    ] = MISSING  # fmt: skip
    values: list[float] | None = None
    run: str | None = None
    freeze: bool = False

    def __post_init__(self) -> None:
        given = self.values
        if self.name == "values":
            are_numbers = bool(given) and all(map(math.isfinite, given or ()))
            rule = "a list of finite numbers, one a matrix, with init=values"
            require(are_numbers, "init.values", rule, given)
        else:
            require(given is None, "init.values", f"null with init={self.name}", given)
        if self.name == "from_run":
            require(bool(self.run), "init.run", "a finished run's folder", self.run)
        else:
            rule = f"{{}} with init={self.name}, for it is of init=from_run"
            require(self.run is None, "init.run", rule.format("null"), self.run)
            require(not self.freeze, "init.freeze", rule.format("false"), self.freeze)

    @property
    def is_frozen(self) -> bool:
        """Whether the integer ranks are another run's, and stay so."""
        return self.name == "from_run" and self.freeze


@dataclass
class RankConfig:
    """Rank range, and the rank that the budget pays for on average."""

    min: int = MISSING
    max: int = MISSING
    average: int = MISSING

    def __post_init__(self) -> None:
        require(self.min >= 1, "rank.min", "at least 1", self.min)
        require(self.min <= self.max, "rank.min", f"at most rank.max={self.max}", self.min)
        within = f"within rank.min={self.min} ... rank.max={self.max}"
        require(self.min <= self.average <= self.max, "rank.average", within, self.average)


@dataclass
class AlphaConfig:
    """Sharpness of the soft mask at the first step and after the last."""

    min: float = MISSING
    max: float = MISSING
    schedule: Literal["linear", "exponential", "cosine"] = MISSING

    def __post_init__(self) -> None:
        require(is_positive(self.min), "alpha.min", "above 0 and finite", self.min)
        require(is_positive(self.max), "alpha.max", "above 0 and finite", self.max)


@dataclass
class LearningRateConfig:
    """Learning rates of R and of the head, and the schedule of all three rates."""

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
        for name in ("start_average", "end_average"):
            value = getattr(self, name)
            require(is_positive(value), f"budget.{name}", "above 0 and finite", value)
        for name in ("hold_epochs", "move_epochs"):
            value = getattr(self, name)
            require(is_rate(value), f"budget.{name}", "at least 0 and finite", value)
        if self.schedule == "constant":
            rule = f"equal to budget.start_average={self.start_average:g} in a constant budget"
            is_same = self.start_average == self.end_average
            require(is_same, "budget.end_average", rule, self.end_average)


@dataclass
class AllocationConfig:
    """How the budget is split: by logits, in one of three ways, or by cuts (`importance`).

    Attributes:
        mode: of allocation.
        tau: strength of the Gumbel noise in the soft mask of `published` and `capped`.
        warmup_fraction, final_fraction: shares of the steps before and after the cuts.
        every: steps between two cuts.
        beta1, beta2: weights of the past in the averages of sensitivity and uncertainty.
    """

    mode: Literal["published", "capped", "soft_topk", "importance"] = MISSING
    tau: float = MISSING
    warmup_fraction: float | None = None
    final_fraction: float | None = None
    every: int | None = None
    beta1: float | None = None
    beta2: float | None = None

    def __post_init__(self) -> None:
        require(is_rate(self.tau), "allocation.tau", "at least 0 and finite", self.tau)
        if self.mode in ("soft_topk", "importance"):
            rule = f"0 with allocation={self.mode}, which has no noise"
            require(self.tau == 0, "allocation.tau", rule, self.tau)
        if self.mode == "importance":
            self._check_importance()
            return
        for name in IMPORTANCE_SETTINGS:
            value = getattr(self, name)
            rule = f"null with allocation={self.mode}, which cuts nothing"
            require(value is None, f"allocation.{name}", rule, value)

    def _check_importance(self) -> None:
        for name in ("warmup_fraction", "final_fraction"):
            share = getattr(self, name)
            is_share = share is not None and 0 <= share <= 1
            require(is_share, f"allocation.{name}", "within 0 ... 1", share)
        first, last = self.warmup_fraction or 0.0, self.final_fraction or 0.0
        rule = f"at most 1 - allocation.warmup_fraction={first:g}"
        require(first + last <= 1, "allocation.final_fraction", rule, last)
        is_count = self.every is not None and self.every >= 1
        require(is_count, "allocation.every", "at least 1", self.every)
        for name in ("beta1", "beta2"):
            beta = getattr(self, name)
            is_weight = beta is not None and 0 <= beta < 1
            require(is_weight, f"allocation.{name}", "within 0 ... 1 (1 excluded)", beta)


@dataclass
class ModelConfig:
    """The frozen base, its head, and what they start from.

    Attributes:
        name, path: of the base; the path goes before the name.
        pooling: what the head reads: the first token, or the mean of all.
        dropout: of the base; null for its own.
        adapted: ends of the names of the matrices that are adapted.
        adapter: folder of a finished run that R and head start from; null for a fresh start.
        adapter_head: true to take its head too, false to take R alone; null to take the head if
            both runs have the same labels.
    """

    name: str = MISSING
    path: str | None = None
    pooling: Literal["cls", "mean"] = MISSING
    dropout: float | None = None
    adapted: list[str] = field(default_factory=list)
    adapter: str | None = None
    adapter_head: bool | None = None

    def __post_init__(self) -> None:
        is_share = self.dropout is None or 0 <= self.dropout < 1
        require(is_share, "model.dropout", "null or within 0 ... 1 (1 excluded)", self.dropout)
        rule = "a list of module-name endings, none of them empty"
        require(bool(self.adapted) and all(self.adapted), "model.adapted", rule, self.adapted)
        rule = "null or a finished run's folder"
        require(self.adapter is None or bool(self.adapter), "model.adapter", rule, self.adapter)
        is_of_one = self.adapter is not None or self.adapter_head is None
        rule = "null without model.adapter"
        require(is_of_one, "model.adapter_head", rule, self.adapter_head)


@dataclass
class TrainingConfig:
    """Length of the training, batches, and what the optimiser is told besides its rates."""

    epochs: int = MISSING
    epochs_discrete: int = MISSING
    batch_size: int = MISSING
    evaluation_batch_size: int = MISSING
    weight_decay: float = MISSING
    max_gradient_norm: float = MISSING
    log_every: int = MISSING

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "evaluation_batch_size", "log_every"):
            value = getattr(self, name)
            require(value >= 1, f"training.{name}", "at least 1", value)
        within = f"within 0 ... training.epochs={self.epochs}"
        is_within = 0 <= self.epochs_discrete <= self.epochs
        require(is_within, "training.epochs_discrete", within, self.epochs_discrete)
        decay, norm = self.weight_decay, self.max_gradient_norm
        require(is_rate(decay), "training.weight_decay", "at least 0 and finite", decay)
        require(is_positive(norm), "training.max_gradient_norm", "above 0 and finite", norm)


@dataclass
class PrunerConfig:
    """Which trials of a search end early; None where a number has no effect.

    It changes how long a run trains, and no run's numbers up to there.
    """

    name: Literal["none", "median", "hyperband", "wilcoxon"] = MISSING
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
