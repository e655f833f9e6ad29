"""Settings that do nothing beside others: which, why, and what makes them count.

A run with such settings is a run like any other, so it is no fault; but an axis over one of them
gives the same numbers again and again.
"""

from collections.abc import Iterator

from lora_sweep.allocation.costs import RankCosts
from lora_sweep.allocation.mode import LogitMode
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.config.run import RunConfig
from lora_sweep.vocabulary import FIXED


def idle_settings(config: RunConfig, n_epochs: int) -> list[str]:
    """Returns a sentence for every reason why settings of a cell have no effect on its runs.

    Settings that single options leave without effect (`lr` with fixed ranks) are not named: they
    are None in the runs' settings.

    Args:
        config: of the cell.
        n_epochs: of its trainings, which training.max_steps may end before training.epochs.
    """
    plan = config.allocation_plan()
    if config.init.name == FIXED and not plan.mode.has_logits:
        return [_without_ranks(plan.mode.name)]
    if plan.importance is not None:
        return list(_without_cuts(plan))
    if not plan.has_logits:
        return []
    costs = RankCosts(config.adapter_kind().rank_power)
    return [*_without_choice(plan, costs), *_without_steps(config, plan, n_epochs)]


def _without_steps(config: RunConfig, plan: AllocationPlan, n_epochs: int) -> Iterator[str]:
    """What a training is too short for."""
    training, budget = config.training, config.budget
    least = training.epochs_discrete + 1
    ends, longer = f"training.epochs={training.epochs}", f"training.epochs={least} or more"
    if n_epochs < training.epochs:
        ends = f"training.max_steps={training.max_steps} (it ends in epoch {n_epochs})"
        longer = f"a training.max_steps that reaches epoch {least}"
    if not plan.learns_ranks(n_epochs):
        yield (
            f"{ends} with training.epochs_discrete={training.epochs_discrete} leaves no epoch in "
            "which ranks are learnt: lr and allocation.tau have no effect, and alpha none on "
            f"masks; they count with {longer}, or with fewer discrete epochs"
        )
    start, end = plan.budget_averages
    if start != end and budget.hold_epochs >= n_epochs:
        yield (
            f"budget.hold_epochs={budget.hold_epochs:g} leaves no epoch of {ends} in which the "
            "budget moves: budget.end_average and budget.move_epochs have no effect; they count "
            "with a smaller budget.hold_epochs"
        )


def _without_choice(plan: AllocationPlan, costs: RankCosts) -> Iterator[str]:
    """What a budget at an end of the rank range leaves to choose: nothing."""
    start, end = plan.budget_averages
    if start == end and not _has_choice(plan, costs, start):
        yield (
            f"an average rank of {start:g} leaves every matrix the same rank with rank.min="
            f"{plan.rank_min} and rank.max={plan.rank_max}: init and lr have no effect; they "
            "count with an average between the two"
        )


def _without_ranks(mode: str) -> str:
    return (
        f"init=fixed keeps every rank, so that allocation={mode} has no effect; it counts with "
        "another init (adapter=lora has init=fixed where no other is given)"
    )


def _without_cuts(plan: AllocationPlan) -> Iterator[str]:
    if plan.rank_average == plan.rank_max:
        yield (
            f"rank.average={plan.rank_average:g} is rank.max, so that allocation=importance cuts "
            "nothing: its settings have no effect; they count with a smaller rank.average"
        )


def _has_choice(plan: AllocationPlan, costs: RankCosts, average: float) -> bool:
    """Whether logits that differ give ranks that differ, by the mode itself: of two matrices."""
    import torch

    from lora_sweep.allocation.mode import Terms

    def one(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float64)

    mode = plan.mode
    assert isinstance(mode, LogitMode), "only runs with logits are asked about"
    terms = Terms(
        budget_params=one(costs.budget(average, 2)),
        alpha=one(plan.alpha_max),
        alpha_max=one(plan.alpha_max),
        rank_min=one(plan.rank_min),
        rank_max=one(plan.rank_max),
        r=plan.rank_max,
        costs=costs,
    )
    first, second = mode.ranks(torch.tensor([[0.0, 1.0]], dtype=torch.float64), terms)[0].tolist()
    return bool(abs(first - second) > 1e-6)
