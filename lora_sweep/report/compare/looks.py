"""Plan and runs so far -> what each look closed, and which comparisons are open.

A function of plan and runs alone: a resolve that was killed, and the report, see the same.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import sparse

from lora_sweep.report.compare.comparison import values_by_seed
from lora_sweep.report.compare.plan import Plan
from lora_sweep.report.statistics.confidence_sequence import confidence_sequence
from lora_sweep.report.statistics.failures import compare_failures, fails_more
from lora_sweep.report.statistics.paired import (
    ALPHA,
    BETTER,
    CLAIMS,
    EQUIVALENT,
    NOT_RESOLVED,
    WORSE,
    Array,
    PairedComparison,
    compare_paired,
    holm,
)
from lora_sweep.report.statistics.per_seed import SeedValues
from lora_sweep.report.statistics.spending import nominal_levels
from lora_sweep.report.table.arms import Arm

Pair = tuple[str, str]


@dataclass(frozen=True)
class Resolved:
    """Where a comparison stands.

    Attributes:
        init, baseline: their names.
        claim: `better`, `worse` or `equivalent`; `not resolved` as long as it is open.
        n_seeds: at the look that closed it, or at the last one.
        paired: the differences at that look.
        p: of the claim; of an open one the smallest of the three. NaN where one looks at any
            time, for its intervals have none.
        level: that p had to be at or below; NaN likewise.
        fails_more: whether the init fails more often at these seeds (True) or less (False); None:
            not shown to differ. It counts the comparisons, but no looks.
    """

    init: str
    baseline: str
    claim: str
    n_seeds: int
    paired: PairedComparison
    p: float
    level: float
    fails_more: bool | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is claimed yet."""
        return self.claim == NOT_RESOLVED


@dataclass(frozen=True)
class Progress:
    """How far a resolve is.

    Attributes:
        resolved: every comparison, in the plan's order; none before the first look.
        next_look: seeds of the next one; None once all are closed or the last look was made.
    """

    resolved: tuple[Resolved, ...]
    next_look: int | None

    def open_arms(self, plan: Plan) -> list[str]:
        """Returns the arms that a look still needs, in the plan's order."""
        is_closed = {(r.init, r.baseline) for r in self.resolved if not r.is_open}
        left = [pair for pair in plan.pairs if pair not in is_closed]
        return list(dict.fromkeys(name for pair in left for name in pair))


def look(plan: Plan, arms: Mapping[str, Arm], *, made: float = math.inf) -> Progress:
    """Returns what the looks so far have found.

    A look can be made once every run that it takes has ended, of all arms with an open comparison.

    Args:
        plan: of the resolve.
        arms: name -> runs so far; seeds that are none of the plan's do not count.
        made: seeds of the last look that was made; infinite for all that can be.
    """
    progress = Progress((), plan.looks[0])
    for n in _looks(plan):
        if n > made:
            break
        needed = progress.open_arms(plan)
        if not all(name in arms and _has_seeds(arms[name], plan.seeds(n)) for name in needed):
            return Progress(progress.resolved, n)
        progress = _look_at(plan, arms, n, progress)
        if progress.next_look is None:
            break
    return progress


def _looks(plan: Plan) -> Iterator[int]:
    """Seeds of each look; at any time, every number of them from the first planned one on."""
    if not plan.any_time:
        yield from plan.looks
        return
    n = plan.looks[0]
    while True:
        yield n
        n += 1


def _has_seeds(arm: Arm, seeds: range) -> bool:
    """Whether all runs of these seeds have ended."""
    if not set(seeds) <= set(arm.seeds):
        return False
    places = [arm.seeds.index(seed) for seed in seeds]
    return bool((arm.failed | ~np.isnan(arm.values))[:, places].all())


def _look_at(plan: Plan, arms: Mapping[str, Arm], n: int, before: Progress) -> Progress:
    """The progress after a look at n seeds; what was closed before stays as it was."""
    closed = {(r.init, r.baseline): r for r in before.resolved if not r.is_open}
    sides = [_sides(plan, arms, pair, n, closed.get(pair)) for pair in plan.pairs]
    differences = {p: i.minus(b) for p, (i, b) in zip(plan.pairs, sides, strict=True)}
    found: dict[Pair, PairedComparison] = {}
    for group in _groups(plan.pairs):
        own = [differences[pair] for pair in group]
        paired = compare_paired(own, region=plan.question.equivalence_points)
        found |= zip(group, paired, strict=True)
    often = dict(zip(plan.pairs, _fail_more(sides), strict=True))
    if plan.any_time:
        now = {pair: _any_time(plan, pair, found[pair], n) for pair in plan.pairs}
    else:
        now = _at_planned_look(plan, found, n, closed)
    resolved = tuple(
        closed.get(pair) or replace(now[pair], fails_more=often[pair]) for pair in plan.pairs
    )
    is_last = not plan.any_time and n == plan.n_most
    is_over = is_last or not any(r.is_open for r in resolved)
    return Progress(resolved, None if is_over else _next(plan, n))


def _groups(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """The pairs by group: those of one are linked by the arms that they share."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    inits, baselines = ([names.index(pair[side]) for pair in pairs] for side in (0, 1))
    links = sparse.coo_array((np.ones(len(pairs)), (inits, baselines)), shape=(len(names),) * 2)
    n_groups, label = sparse.csgraph.connected_components(links, directed=False)
    return [
        [pair for pair, init in zip(pairs, inits, strict=True) if label[init] == group]
        for group in range(n_groups)
    ]


def _next(plan: Plan, n: int) -> int:
    return n + 1 if plan.any_time else next(look for look in plan.looks if look > n)


def _sides(
    plan: Plan, arms: Mapping[str, Arm], pair: Pair, n: int, closed: Resolved | None
) -> tuple[SeedValues, SeedValues]:
    """Init and baseline at the pair's seeds: up to this look, or to the one that closed it."""
    seeds = plan.seeds(n if closed is None else closed.n_seeds)
    own, others = (values_by_seed(_at(arms[name], seeds), plan.question) for name in pair)
    return own, others


def _fail_more(sides: Sequence[tuple[SeedValues, SeedValues]]) -> list[bool | None]:
    failures = [compare_failures(init.counts, baseline.counts) for init, baseline in sides]
    p = holm([one.p for one in failures])
    return [fails_more(one, own) for one, own in zip(failures, p, strict=True)]


def _at(arm: Arm, seeds: range) -> Arm:
    places = [arm.seeds.index(seed) for seed in seeds]
    return Arm(arm.name, tuple(seeds), arm.values[:, places], arm.failed[:, places])


def _at_planned_look(
    plan: Plan, found: Mapping[Pair, PairedComparison], n: int, closed: Mapping[Pair, Resolved]
) -> dict[Pair, Resolved]:
    """Holm's method over the open comparisons, each kind of claim by itself, at this look."""
    now: dict[Pair, Resolved] = {}
    n_made = {claim: sum(r.claim == claim for r in closed.values()) for claim in CLAIMS}
    left = [pair for pair in plan.pairs if pair not in closed]
    for claim in CLAIMS:
        for pair in sorted(left, key=lambda pair: _p(found[pair], claim)):
            level = _level(plan.looks, n, len(plan.pairs) - n_made[claim])
            p = _p(found[pair], claim)
            if p > level:
                break
            n_made[claim] += 1
            now[pair] = Resolved(*pair, claim, n, found[pair], p, level)
    for pair in left:
        if pair not in now:
            claim = min(CLAIMS, key=lambda claim: _p(found[pair], claim))
            level = _level(plan.looks, n, len(plan.pairs) - n_made[claim])
            p = _p(found[pair], claim)
            now[pair] = Resolved(*pair, NOT_RESOLVED, n, found[pair], p, level)
    return now


def _p(paired: PairedComparison, claim: str) -> float:
    return {
        BETTER: paired.p_better,
        WORSE: paired.p_worse,
        EQUIVALENT: paired.p_equivalent,
    }[claim]


def _level(looks: tuple[int, ...], n: int, n_comparisons: int) -> float:
    return float(_levels(looks, n_comparisons)[looks.index(n)])


@cache
def _levels(looks: tuple[int, ...], n_comparisons: int) -> Array:
    """The level of each look, for one of so many comparisons that are left."""
    return nominal_levels(looks, alpha=ALPHA / n_comparisons, n_most=looks[-1])


def _any_time(plan: Plan, pair: Pair, paired: PairedComparison, n: int) -> Resolved:
    """What the interval that holds at all times says, by Bonferroni over the comparisons."""
    region = plan.question.equivalence_points
    values = np.array(paired.differences)
    low, high = confidence_sequence(values, alpha=ALPHA / len(plan.pairs))
    claim = NOT_RESOLVED
    if low > region:
        claim = BETTER
    elif high < -region:
        claim = WORSE
    elif -region < low and high < region:
        claim = EQUIVALENT
    return Resolved(*pair, claim, n, paired, float("nan"), float("nan"))
