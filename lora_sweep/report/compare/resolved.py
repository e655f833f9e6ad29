"""What a resolve has found, in Markdown: each comparison, its look and boundary, why it ended."""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lora_sweep.report.compare.looks import Progress, Resolved, look
from lora_sweep.report.compare.plan import Plan, read_plan
from lora_sweep.report.compare.sentences import verdict_words
from lora_sweep.report.statistics.paired import EQUIVALENT
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.labels import init_words
from lora_sweep.report.table.planned import planned_arms
from lora_sweep.report.text.folding import without
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import SEEDS, Table
from lora_sweep.report.text.values import signed_points
from lora_sweep.store.looks_made import read_made
from lora_sweep.store.scope import Scope
from lora_sweep.store.sweep_list import read_asked, read_commands
from lora_sweep.vocabulary import RESOLVE
from lora_sweep.words import counted

_PLANNED = """\
The looks were planned before the first of them, at {looks} seeds, and the level of 5 % for each
kind of claim is spent over them and over the comparisons: a claim is made where its p is at or
below the boundary. A comparison that is closed trains no more seeds."""
_ANY_TIME = """\
One looks after every seed: a claim is made where an interval that holds the true difference at
all times at once, in 95 of 100 sweeps for all comparisons together, lies on one side."""
_FAILS = """\
How often an init fails is tested by itself at each look, over all comparisons; this counts no
looks."""

_TITLE = "What is resolved?"
_OF_LOOKS = ("p", "Boundary")
_COLUMNS = ("Init", "Baseline", "Verdict", SEEDS, "Difference", "Median", *_OF_LOOKS, "Why")


@dataclass(frozen=True)
class Resolution:
    """A resolve's plan, and how far it is."""

    plan: Plan
    progress: Progress


def read_resolution(folder: Path, runs: pd.DataFrame) -> Resolution | None:
    """Returns the resolve of a sweep; None where there was none.

    Args:
        folder: of the sweep.
        runs: as from `collect_runs`, of whatever scope: the resolve's own runs count.

    Raises:
        RecordError: plan or looks can't be read.
        LoraSweepError: the resolve's runs can't be.
    """
    plan = read_plan(folder)
    if plan is None:
        return None
    arms = planned_arms(_own_runs(folder, runs))
    return Resolution(plan, look(plan, arms, made=read_made(folder).seeds))


def _own_runs(folder: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that the resolve's last command asked for."""
    commands = [one for one in read_commands(folder) if RESOLVE in shlex.split(one)]
    if not commands:
        return runs
    names = set(read_asked(folder, commands[-1]) or ())
    if names == set(runs["folder"]):
        return runs
    return collect_runs(folder, scope=Scope(commands[-1]))


def ending_lines(resolution: Resolution, go_on: str) -> list[str]:
    """Returns what a resolve ends with: how many comparisons are left, and how to go on.

    Args:
        resolution: of the sweep.
        go_on: command that goes on.
    """
    progress = resolution.progress
    n_left = sum(r.is_open for r in progress.resolved)
    of_all = f"{n_left} of {counted(len(progress.resolved), 'comparison')}"
    if progress.next_look is not None:
        left = f"{of_all} left" if progress.resolved else "no look was made yet"
        look_words = f"the next look takes {progress.next_look} seeds"
        return [f"{left}, {look_words}; this goes on, with any budget:", go_on]
    if n_left:
        return [f"the last look is made, {of_all} not resolved: more looks were not planned"]
    return ["every comparison is resolved"]


def resolved_section(resolution: Resolution | None) -> list[str]:
    """Returns paragraphs of Markdown; none without a resolve."""
    if resolution is None:
        return []
    plan, progress = resolution.plan, resolution.progress
    heading = f"## {_TITLE}"
    if not progress.resolved:
        return [heading, f"No look was made yet: the first one takes {progress.next_look} seeds."]
    looks = ", ".join(map(str, plan.looks))
    how = _ANY_TIME if plan.any_time else _PLANNED.format(looks=looks)
    if any(one.fails_more is not None for one in progress.resolved):
        how = f"{how} {_FAILS}"
    return [heading, to_markdown(resolved_table(resolution)), " ".join(how.split())]


def resolved_table(resolution: Resolution) -> Table:
    """Returns a row for each comparison; none before the first look."""
    progress = resolution.progress
    table = Table(
        _TITLE,
        _COLUMNS,
        tuple(_row(one, progress) for one in progress.resolved),
        settings=_COLUMNS[:2],
        kept=_COLUMNS,
    )
    return without(table, _OF_LOOKS) if resolution.plan.any_time else table


def resolved_sentences(resolution: Resolution) -> list[str]:
    """Returns a sentence for each comparison."""
    region = resolution.plan.question.equivalence_points
    return [_sentence(one, region) for one in resolution.progress.resolved]


def _sentence(one: Resolved, region: float) -> str:
    against = f"{init_words(one.init)} against {one.baseline}"
    inside = f", within ±{region:g} points" if one.claim == EQUIVALENT else ""
    claim = verdict_words(one.claim, one.fails_more)
    seeds = f"{one.n_seeds} seeds{_trained(one)}"
    return f"{against}: {claim} after {seeds}{inside} ({_difference(one)})."


def _row(one: Resolved, progress: Progress) -> tuple[str, ...]:
    open_words = "the last look is made"
    if progress.next_look is not None:
        open_words = f"next look at {progress.next_look} seeds"
    return (
        init_words(one.init),
        one.baseline,
        verdict_words(one.claim, one.fails_more),
        f"{one.n_seeds}{_trained(one)}",
        signed_points(one.paired.mean),
        signed_points(one.paired.median),
        f"{one.p:.2g}",
        f"{one.level:.2g}",
        open_words if one.is_open else "closed",
    )


def _trained(one: Resolved) -> str:
    """How many of the look's seeds the difference is over, where some did not train."""
    n = len(one.paired.differences)
    return "" if n == one.n_seeds else f" ({n} trained in both)"


def _difference(one: Resolved) -> str:
    if math.isnan(one.paired.mean):
        return "no seed has trained in both"
    return f"{one.paired.mean:+.2f} points on average, median {one.paired.median:+.2f}"
