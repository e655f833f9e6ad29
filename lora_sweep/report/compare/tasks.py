"""Sweeps over several tasks -> one verdict on each init over all of them, and average ranks.

A task is a corpus with a base. Inits and baselines are the same where they have the same name;
settings such as learning rates may be each task's own. What a task lacks is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from tabulate import tabulate

from lora_sweep.report.compare.comparison import at_common_seeds, values_by_seed
from lora_sweep.report.compare.question import STANDARD_QUESTION, Question
from lora_sweep.report.compare.sentences import verdict_words
from lora_sweep.report.statistics.failures import (
    Failures,
    compare_failures_over_tasks,
    fails_more,
)
from lora_sweep.report.statistics.paired import Verdict, holm, judge
from lora_sweep.report.statistics.per_seed import SeedValues
from lora_sweep.report.statistics.tasks import (
    TaskMean,
    average_ranks,
    claims_of,
    mean_over_tasks,
)
from lora_sweep.report.table.arms import Arm, compared_arms
from lora_sweep.report.table.groups import group_runs, n_tasks
from lora_sweep.report.table.labels import init_words
from lora_sweep.report.text.values import escape_markdown
from lora_sweep.rules import require

_T = TypeVar("_T")

_READ = """\
Each seed is compared with itself in each task, and each task weighs the same. Difference: mean
over the tasks of init minus baseline, in points, where both have trained; the interval says where
it would lie with other seeds, 95 times in 100, over these {n} tasks ({tasks}) and no others.
Verdict and p as above, with Holm's correction over this table; how often an init fails is tested
over the tasks, too. Average rank: 1 is the best of all inits and baselines at each task and
seed."""


@dataclass(frozen=True)
class TaskLine:
    """An init against a baseline over all tasks.

    Attributes:
        init, baseline: their names.
        difference: in points, where both have trained.
        verdict: on it.
        fails_more: whether the init fails more often (True) or less (False); None: not shown to
            differ.
    """

    init: str
    baseline: str
    difference: TaskMean
    verdict: Verdict
    fails_more: bool | None


@dataclass(frozen=True)
class OverTasks:
    """What several tasks say together.

    Attributes:
        tasks: their names.
        lines: an init and baseline each.
        ranks: inits and baselines with their average rank, the best first.
        question: what was asked.
    """

    tasks: tuple[str, ...]
    lines: tuple[TaskLine, ...]
    ranks: tuple[tuple[str, TaskMean], ...]
    question: Question


def compare_over_tasks(runs: pd.DataFrame, *, question: Question = STANDARD_QUESTION) -> OverTasks:
    """Returns one verdict over all tasks for each init and baseline that all of them have.

    Args:
        runs: as from `collect_sweeps`.
        question: what is asked.

    Raises:
        SettingError: there are not two tasks, or one of them has runs that can't be compared, or
            they share no init and baseline.
    """
    known = runs[runs["seed"].notna()].drop(columns="sweep", errors="ignore")
    groups = group_runs(known)
    require(len(groups) > 1, "--tasks", "of sweeps over several tasks", ", ".join(groups))
    require(
        n_tasks(known) == len(groups),
        "--tasks",
        "of runs that are trained alike within a corpus and base",
        "; ".join(groups),
    )
    tasks = [compared_arms(own) for own in groups.values()]
    seen = [
        {name: (a, values_by_seed(a, question)) for name, a in arms.items()} for arms, _ in tasks
    ]
    values = [{name: _by_seed(*one) for name, one in own.items()} for own in seen]
    names = _in_all([list(arms) for arms, _ in tasks])
    pairs = _in_all([pairs for _, pairs in tasks])
    found = [
        (arm, baseline, mean_over_tasks(differences))
        for arm, baseline in pairs
        if all(differences := [_differences(own[arm], own[baseline]) for own in values])
    ]
    shared = f"{'; '.join(names) or 'no arm'} in all of them"
    require(bool(found), "--tasks", "of sweeps that share an arm, a baseline and seeds", shared)
    region = question.equivalence_points
    verdicts = judge([claims_of(mean, region=region) for _, _, mean in found])
    failures = [_failures(seen, arm, baseline) for arm, baseline, _ in found]
    p = holm([one.p for one in failures])
    often = [fails_more(one, own) for one, own in zip(failures, p, strict=True)]
    lines = [TaskLine(*one, v, o) for one, v, o in zip(found, verdicts, often, strict=True)]
    return OverTasks(tuple(groups), tuple(lines), _ranks(values, names), question)


def tasks_section(found: OverTasks) -> list[str]:
    """Returns paragraphs of Markdown."""
    rows = [
        [
            escape_markdown(init_words(line.init)),
            escape_markdown(line.baseline),
            str(line.difference.n_seeds or "each task's"),
            f"{line.difference.mean:+.2f}",
            _span(line.difference, "+.2f"),
            verdict_words(line.verdict.claim, line.fails_more),
            f"{line.verdict.p:.3g}",
        ]
        for line in found.lines
    ]
    headers = ["Init", "Baseline", "Seeds", "Difference", "95 % interval", "Verdict", "p"]
    how = _READ.format(n=len(found.tasks), tasks=escape_markdown("; ".join(found.tasks)))
    ranks = [
        [escape_markdown(init_words(name)), f"{rank.mean:.2f}", _span(rank, ".2f")]
        for name, rank in found.ranks
    ]
    parts = ["## Over the tasks", _table(rows, headers), " ".join(how.split())]
    return [*parts, _table(ranks, ["Arm", "Average rank", "95 % interval"])] if ranks else parts


def tasks_sentences(found: OverTasks) -> list[str]:
    """Returns a sentence for each init and baseline."""
    return [f"over {len(found.tasks)} tasks, {_sentence(line)}" for line in found.lines]


def _sentence(line: TaskLine) -> str:
    claim = verdict_words(line.verdict.claim, line.fails_more)
    return (
        f"{init_words(line.init)} against {line.baseline}: {claim} ({line.difference.mean:+.2f} "
        f"points on average, 95 % interval {_span(line.difference, '+.2f')})."
    )


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def _span(mean: TaskMean, form: str) -> str:
    low, high = mean.interval
    return "-" if math.isinf(low) else f"{low:{form}} to {high:{form}}"


def _in_all(names: Sequence[Sequence[_T]]) -> list[_T]:
    return [name for name in names[0] if all(name in others for others in names)]


def _by_seed(arm: Arm, seen: SeedValues) -> dict[int, float]:
    """Seed -> value of an arm, percent; seeds that have not trained lack."""
    return {
        seed: float(value)
        for seed, value in zip(arm.seeds, seen.values, strict=True)
        if not np.isnan(value)
    }


def _failures(
    tasks: Sequence[dict[str, tuple[Arm, SeedValues]]], arm: str, baseline: str
) -> Failures:
    counted = []
    for own in tasks:
        (a, of_arm), (b, of_baseline) = own[arm], own[baseline]
        sides = at_common_seeds(a, b, of_arm, of_baseline)
        seeds = [seed for seed in a.seeds if seed in b.seeds]
        counted.append((seeds, sides[0].counts, sides[1].counts))
    return compare_failures_over_tasks(counted)


def _differences(init: dict[int, float], baseline: dict[int, float]) -> dict[int, float]:
    return {seed: init[seed] - baseline[seed] for seed in init if seed in baseline}


def _ranks(
    values: Sequence[dict[str, dict[int, float]]], names: Sequence[str]
) -> tuple[tuple[str, TaskMean], ...]:
    """Average ranks of the arms, best first; none where a task has no seed with all of them."""
    tasks = []
    for own in values:
        seeds = sorted(set.intersection(*(set(own[name]) for name in names)))
        tasks.append({seed: np.array([own[name][seed] for name in names]) for seed in seeds})
    if not all(tasks):
        return ()
    ranks = zip(names, average_ranks(tasks, len(names)), strict=True)
    return tuple(sorted(ranks, key=lambda one: one[1].mean))
