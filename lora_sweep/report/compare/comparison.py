"""Tidy table -> what the sweep can say of its inits: against the baselines, and of choosing.

Values are percent points of the reported metric. Runs are compared within one group only (see
`table.groups`), and the comparisons of all groups are one family. An init's settings are its
cells: what it was run with besides the seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from lora_sweep.report.compare.question import STANDARD_QUESTION, TUNED, Question
from lora_sweep.report.statistics.failures import Failures, compare_failures, fails_more
from lora_sweep.report.statistics.paired import (
    ALPHA,
    Array,
    PairedComparison,
    Verdict,
    compare_paired,
    holm,
    judge,
)
from lora_sweep.report.statistics.per_seed import (
    SeedValues,
    over_chosen_settings,
    over_settings,
)
from lora_sweep.report.statistics.power import seeds_to_find, upper_limit_of_spread
from lora_sweep.report.statistics.selection import (
    SelectionPremium,
    expected_best,
    init_effect_p,
    n_cells_with_value,
    selection_premium,
)
from lora_sweep.report.table.arms import Arm, compared_arms, init_grid
from lora_sweep.report.table.groups import group_runs
from lora_sweep.report.table.tidy import learns_ranks
from lora_sweep.vocabulary import FINISHED


@dataclass(frozen=True)
class Line:
    """An init against a baseline.

    Attributes:
        init, baseline: their names.
        n_settings: settings that the init was run with.
        paired: the difference over the seeds at which both have trained.
        verdict: on that difference; Holm's over all lines of the report.
        failures: failed runs of both.
        failures_p: Holm's p over all lines of the report, of «they fail equally often».
    """

    init: str
    baseline: str
    n_settings: int
    paired: PairedComparison
    verdict: Verdict
    failures: Failures
    failures_p: float

    @property
    def fails_more(self) -> bool | None:
        """Whether the init fails more often (True) or less (False); None: not shown to differ."""
        return fails_more(self.failures, self.failures_p)


@dataclass(frozen=True)
class InitEffect:
    """Whether the init matters over the whole grid.

    Attributes:
        p: of «it makes no difference».
        n_seeds, n_settings: that all inits have.
        farthest: the init whose mean is farthest from the mean of all, and by how much.
    """

    p: float
    n_seeds: int
    n_settings: int
    farthest: tuple[str, float]


@dataclass(frozen=True)
class Comparison:
    """What the runs of one group say.

    Attributes:
        group: its name.
        metric: name of the headline metric.
        question: what was asked.
        lines: an init and baseline each.
        n_lines: of all groups together: what the corrections count.
        effect: of the init over the grid; None without two inits and two seeds.
        premium: how far the best learnt cell stands out; None without two of them that have a
            trained run, or without two seeds.
        best_of: expected best metric of 1, 2, 5, ... of the learnt runs.
    """

    group: str
    metric: str
    question: Question
    lines: tuple[Line, ...]
    n_lines: int
    effect: InitEffect | None
    premium: SelectionPremium | None
    best_of: tuple[tuple[int, float], ...]


def compare_inits(
    runs: pd.DataFrame, *, question: Question = STANDARD_QUESTION
) -> list[Comparison]:
    """Returns a comparison for each group of the sweep's runs; none without finished runs.

    Args:
        runs: as from `collect_runs`.
        question: what is asked.
    """
    known = runs[runs["seed"].notna()]
    groups = {
        name: group
        for name, group in group_runs(known).items()
        if (group["status"] == FINISHED).any()
    }
    lines = compare_groups(list(map(_pairs, groups.values())), question=question)
    n_lines = sum(map(len, lines))
    return [
        _compare(name, group, question, own, n_lines)
        for (name, group), own in zip(groups.items(), lines, strict=True)
    ]


def _pairs(runs: pd.DataFrame) -> list[tuple[Arm, Arm]]:
    arms, pairs = compared_arms(runs)
    return [(arms[init], arms[baseline]) for init, baseline in pairs]


def _compare(
    name: str, runs: pd.DataFrame, question: Question, lines: tuple[Line, ...], n_lines: int
) -> Comparison:
    finished = runs[runs["status"] == FINISHED]
    learnt = finished[finished["init"].map(learns_ranks).astype(bool)]
    values = 100 * learnt["reported_metric"].to_numpy(float)
    n_drawn = [n for n in (1, 2, 5, 10, 20, 50, 100) if n <= len(values)]
    inits, grid = init_grid(runs)
    return Comparison(
        group=name,
        metric=str(finished["metric"].iloc[0]),
        question=question,
        lines=lines,
        n_lines=n_lines,
        effect=_effect(inits, grid),
        premium=_premium(grid),
        best_of=tuple((n, expected_best(values, n)) for n in n_drawn),
    )


def compare_pairs(
    pairs: Sequence[tuple[Arm, Arm]], *, question: Question = STANDARD_QUESTION
) -> tuple[Line, ...]:
    """Returns a line for each pair that has seeds in common.

    Args:
        pairs: an arm, and the baseline that it is held against.
        question: what is asked.
    """
    (lines,) = compare_groups([pairs], question=question)
    return lines


def compare_groups(
    groups: Sequence[Sequence[tuple[Arm, Arm]]], *, question: Question = STANDARD_QUESTION
) -> list[tuple[Line, ...]]:
    """Returns the lines of each group, of the pairs that have seeds in common.

    Groups are one family: any false claim of a kind among all of them is made in at most 5 of 100
    sweeps. Spreads are shared within a group only, for corpora differ in theirs.

    Args:
        groups: of each its pairs of an arm and the baseline that it is held against.
        question: what is asked.
    """
    found = [_compared(pairs, question) for pairs in groups]
    flat = [one for own in found for one in own]
    verdicts = judge([one.paired for one in flat])
    failures_p = holm([one.failures.p for one in flat])
    lines = (
        Line(c.init.name, c.baseline.name, len(c.init.values), c.paired, verdict, c.failures, p)
        for c, verdict, p in zip(flat, verdicts, failures_p, strict=True)
    )
    return [tuple(islice(lines, len(own))) for own in found]


@dataclass(frozen=True)
class _Compared:
    """An arm against a baseline, before the corrections."""

    init: Arm
    baseline: Arm
    paired: PairedComparison
    failures: Failures


def _compared(pairs: Sequence[tuple[Arm, Arm]], question: Question) -> list[_Compared]:
    arms = {id(arm): arm for pair in pairs for arm in pair}
    of_seeds = {key: values_by_seed(arm, question) for key, arm in arms.items()}
    compared = [pair for pair in pairs if set(pair[0].seeds) & set(pair[1].seeds)]
    sides = [
        at_common_seeds(*pair, of_seeds[id(pair[0])], of_seeds[id(pair[1])]) for pair in compared
    ]
    paired = compare_paired(
        [arm.minus(base) for arm, base in sides], region=question.equivalence_points
    )
    failures = [compare_failures(arm.counts, base.counts) for arm, base in sides]
    return [
        _Compared(*pair, difference, failed)
        for pair, difference, failed in zip(compared, paired, failures, strict=True)
    ]


def seeds_needed(line: Line, question: Question, *, n_lines: int) -> int | None:
    """Returns how many seeds find the difference that is asked for, four times in five.

    At the level of Holm's first step, with the upper limit of the spread. None where nothing is
    known of it, or over 1,000 would be needed.

    Args:
        line: whose spread it is.
        question: says the difference.
        n_lines: that the correction counts.
    """
    return seeds_to_find(
        question.difference_points - question.equivalence_points,
        upper_limit_of_spread(line.paired.spread, line.paired.df),
        alpha=ALPHA / n_lines,
    )


def values_by_seed(arm: Arm, question: Question) -> SeedValues:
    """Returns what an arm's runs say, a seed each, in the order of its seeds.

    Args:
        arm: of one or several settings.
        question: what is asked of the settings.
    """
    is_chosen = question.settings == TUNED and len(arm.values) > 1
    return (over_chosen_settings if is_chosen else over_settings)(arm.values, arm.failed)


def at_common_seeds(
    arm: Arm, baseline: Arm, own: SeedValues, others: SeedValues
) -> tuple[SeedValues, SeedValues]:
    """Returns what both say at the seeds that both have, in the order of the arm's.

    Args:
        arm: that is compared.
        baseline: that it is held against.
        own: the arm's values, as from `values_by_seed`.
        others: the baseline's.
    """
    common = [seed for seed in arm.seeds if seed in baseline.seeds]
    return (
        own.at([arm.seeds.index(seed) for seed in common]),
        others.at([baseline.seeds.index(seed) for seed in common]),
    )


def _effect(inits: Sequence[str], grid: Array) -> InitEffect | None:
    if len(inits) < 2:
        return None
    levels = np.stack([over_settings(own, np.isnan(own)).values for own in grid])
    levels = levels[:, ~np.isnan(levels).any(axis=0)]
    if levels.shape[1] < 2:
        return None
    distances = levels.mean(axis=1) - levels.mean()
    place = int(np.abs(distances).argmax())
    farthest = (inits[place], float(distances[place]))
    return InitEffect(init_effect_p(levels), levels.shape[1], grid.shape[1], farthest)


def _premium(grid: Array) -> SelectionPremium | None:
    if grid.shape[-1] < 2 or n_cells_with_value(grid) < 2:
        return None
    return selection_premium(grid)
