"""The groups of settings: one dataclass a group, with types, ranges and cross-field rules.

The rules run when a composed config is turned into these objects, before anything is loaded.
Values stand in `conf/`; nothing here has a default that a researcher would want to see there.
"""

from dataclasses import dataclass, field
from typing import Literal

from omegaconf import MISSING

from lora_sweep.config.rules import is_positive, is_rate, require


@dataclass
class InitConfig:
    """Starting values of the allocation logits along depth; `fixed` has no logits at all."""

    name: Literal["uniform", "randn", "quadratic", "left_skewed", "fixed"] = MISSING


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
    """How a rank over rank.max is treated, and the noise in the soft mask."""

    mode: Literal["published", "capped"] = MISSING
    tau: float = MISSING

    def __post_init__(self) -> None:
        require(is_rate(self.tau), "allocation.tau", "at least 0 and finite", self.tau)


@dataclass
class ModelConfig:
    """The frozen base and its head."""

    name: str = MISSING
    path: str | None = None
    pooling: Literal["cls", "mean"] = MISSING
    dropout: float | None = None
    adapted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        is_share = self.dropout is None or 0 <= self.dropout < 1
        require(is_share, "model.dropout", "null or within 0 ... 1 (1 excluded)", self.dropout)
        rule = "a list of module-name endings, none of them empty"
        require(bool(self.adapted) and all(self.adapted), "model.adapted", rule, self.adapted)


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
