"""The settings of a run -> the plan of its rank allocation, with the rules of both."""

import re
from typing import Protocol

from lora_sweep.allocation.mode import make_mode
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.config.adapter import adapter_kind
from lora_sweep.config.schema import (
    MODE_SETTINGS,
    AdapterConfig,
    AllocationConfig,
    AlphaConfig,
    BudgetConfig,
    InitConfig,
    RankConfig,
    TrainingConfig,
)
from lora_sweep.errors import SettingError


class Groups(Protocol):
    """The groups of settings that a plan is made of; a `RunConfig` has them."""

    init: InitConfig
    rank: RankConfig
    alpha: AlphaConfig
    budget: BudgetConfig
    allocation: AllocationConfig
    training: TrainingConfig
    adapter: AdapterConfig


_SETTINGS = {
    "rank_min": "rank.min",
    "rank_max": "rank.max",
    "rank_average": "rank.average",
    "init_values": "init.values",
    "alpha_min": "alpha.min",
    "alpha_max": "alpha.max",
    "alpha_schedule": "alpha.schedule",
    "budget_start": "budget.start_average",
    "budget_end": "budget.end_average",
    "budget_hold_epochs": "budget.hold_epochs",
    "budget_move_epochs": "budget.move_epochs",
    "epochs_discrete": "training.epochs_discrete",
    **{name: f"allocation.{name}" for name in ("tau", *MODE_SETTINGS)},
}
"""A number of the plan -> the setting that it comes from."""


def allocation_plan(
    config: Groups,
    *,
    logits: tuple[float, ...] | None = None,
    frozen_ranks: tuple[int, ...] | None = None,
) -> AllocationPlan:
    """Returns how the ranks of a cell's runs are allocated: not at all, where nothing is adapted.

    Args:
        config: of the cell.
        logits: starting logits (N,) that another run trained; None for those of `init`.
        frozen_ranks: integer ranks (N,) of another run, which stay; None for none.

    Raises:
        SettingError: a setting breaks a rule.
    """
    own = {name: getattr(config.allocation, name, None) for name in MODE_SETTINGS}
    values = config.init.values if logits is None else logits
    has_matrices = adapter_kind(config.adapter).has_matrices
    rank = config.rank if has_matrices else RankConfig(min=1, max=1, average=1)
    try:
        return AllocationPlan(
            rank_min=rank.min,
            rank_max=rank.max,
            rank_average=rank.average,
            init=config.init.name if logits is None else "values",
            mode=make_mode(config.allocation.mode, {"tau": config.allocation.tau, **own}),
            alpha_min=config.alpha.min,
            alpha_max=config.alpha.max,
            alpha_schedule=config.alpha.schedule,
            budget_start=config.budget.start_average,
            budget_end=config.budget.end_average,
            budget_hold_epochs=config.budget.hold_epochs,
            budget_move_epochs=config.budget.move_epochs,
            epochs_discrete=config.training.epochs_discrete,
            init_values=None if values is None else tuple(values),
            frozen_ranks=frozen_ranks,
        )
    except SettingError as error:
        raise SettingError(_in_settings(str(error))) from error


def _in_settings(message: str) -> str:
    """The message of a broken rule, with the names of the settings for those of the plan.

    They stand at its beginning, and as NAME=VALUE in the rule.
    """
    names = "|".join(_SETTINGS)
    said = re.sub(rf"\b({names})(?==)", lambda found: _SETTINGS[found[1]], message)
    said = re.sub(r"\bmode=", "allocation=", said)
    subject, _, rule = said.partition(" ")
    subjects = {**_SETTINGS, "init": "init.name", "mode": "allocation.mode"}
    return f"{subjects.get(subject, subject)} {rule}"
