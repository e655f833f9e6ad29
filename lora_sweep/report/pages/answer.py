"""What a reader wants to know first: which cell is best, and whether its init is any better.

The sentences are for readers outside statistics; the report's sections have the numbers.
"""

import math
from collections.abc import Sequence

import pandas as pd

from lora_sweep.report.compare.comparison import Comparison, Line
from lora_sweep.report.compare.resolved import Resolution, resolved_sentences
from lora_sweep.report.pages.cells import cell_note
from lora_sweep.report.pages.conclusion import inits_against
from lora_sweep.report.table.cell_names import cell_names
from lora_sweep.report.table.groups import group_runs
from lora_sweep.report.table.labels import init_words
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.table.tidy import is_baseline, learns_ranks
from lora_sweep.report.text.values import median_and_std
from lora_sweep.vocabulary import COLLAPSED, FINISHED
from lora_sweep.words import counted


def answer_lines(
    runs: pd.DataFrame, comparisons: Sequence[Comparison], resolution: Resolution | None = None
) -> list[str]:
    """Returns the best cell of each group of runs, and a verdict against each baseline.

    Args:
        runs: as from `collect_runs`.
        comparisons: of the inits, as from `compare_inits`.
        resolution: of the sweep's resolve, whose planned looks then give the verdicts.
    """
    known = runs[runs["seed"].notna()]
    groups = {
        name: own for name, own in group_runs(known).items() if (own["status"] == FINISHED).any()
    }
    lines = []
    for name, own in groups.items():
        where = f"{name}: " if len(groups) > 1 else ""
        lines += [f"{where}{line}" for line in (*_best_lines(own), *_without_baseline(own))]
    if resolution is not None:
        return [*lines, *resolved_sentences(resolution)]
    for one in comparisons:
        where = f"{one.group}: " if len(groups) > 1 else ""
        lines += [f"{where}{said}" for said in _conclusions(one)]
    return lines


def _conclusions(comparison: Comparison) -> list[str]:
    """A sentence for each baseline: the question that is asked of all inits at once."""
    asked: dict[str, list[Line]] = {}
    for line in comparison.lines:
        asked.setdefault(line.baseline, []).append(line)
    return [
        verdict(*lines) if len(lines) == 1 else inits_against(baseline, lines)
        for baseline, lines in asked.items()
    ]


def verdict(line: Line) -> str:
    """Returns what can be said of one init against one baseline, in plain words."""
    return " ".join([_difference(line), *_failures(line)])


def _difference(line: Line) -> str:
    d = line.paired
    init, n_seeds = init_words(line.init), counted(len(d.differences), "seed")
    if not d.differences:
        return f"{init} or {line.baseline}? That can't be told: no seed has trained in both."
    if not math.isfinite(d.low):
        return (
            f"{init} or {line.baseline}? That can't be told from {n_seeds}, which differ too "
            "little among themselves to show what is chance: train more seeds."
        )
    size = f"by {abs(d.mean):.2f} points on average over {n_seeds}"
    span = f"the true difference is likely between {d.low:+.2f} and {d.high:+.2f}"
    said = {
        "better": f"{init} is better than {line.baseline}: {size}; {span}.",
        "worse": f"{init} is worse than {line.baseline}: {size}; {span}.",
        "equivalent": f"{init} is as good as {line.baseline}: {span}.",
    }
    unclear = (
        f"{init} or {line.baseline}? Not clear yet: the difference is {d.mean:+.2f} points on "
        f"average over {n_seeds}, but {span}. More seeds narrow it."
    )
    return said.get(line.verdict.claim, unclear)


def _failures(line: Line) -> list[str]:
    """A sentence, if any run of either failed."""
    (n_init, of_init), (n_base, of_base) = line.failures.init, line.failures.baseline
    if not n_init and not n_base:
        return []
    counts = f"{n_init} of {counted(of_init, 'run')} against {n_base} of {of_base}"
    often = {True: "It fails more often", False: "It fails less often"}
    if line.fails_more is None:
        return [f"Runs that collapsed or failed: {counts}."]
    return [f"{often[line.fails_more]}: {counts} collapsed or failed."]


def _best_lines(runs: pd.DataFrame) -> list[str]:
    """The best cell with its number, and how far to trust it."""
    finished = runs[runs["status"] == FINISHED]
    if finished["collapsed"].all():
        n = len(finished)
        which = f"all {n} finished runs" if n > 1 else "the only finished run"
        return [f"No cell is best: {which} {COLLAPSED}, predicting one class only."]
    summary = summarise_runs(runs)
    cells = summary[summary["median"].notna()]
    place = int(cells["median"].argmax())
    best = cells.iloc[place].to_dict()
    n_equal = int((cells["median"] == best["median"]).sum()) - 1
    seeds = counted(best["n_seeds"], "seed")
    value = f"{median_and_std(best['median'], best['std'])} (median ± std of {seeds})"
    if best["n_seeds"] == 1:
        value = f"{median_and_std(best['median'], best['std'])} (1 seed)"
    note = cell_note(best)
    which = "Best cell" if len(cells) > 1 else "The only cell"
    name = cell_names(summary)[summary.index.get_loc(cells.index[place])]
    said = f"{which}: {name}: {finished['metric_words'].iloc[0]} {value}"
    said += f", {note}" if note else ""
    said += f"; {counted(n_equal, 'other cell')} with the same median" if n_equal else ""
    if len(cells) == 1:
        return [f"{said}."]
    return [
        f"{said}.",
        f"It was picked from {len(cells)} cells by this very number, so it looks better than it "
        "is: fresh seeds would tell.",
    ]


def _without_baseline(runs: pd.DataFrame) -> list[str]:
    """Why there is no verdict on the inits; none where there is one, or no init."""
    learnt, fixed = runs[runs["init"].map(learns_ranks)], runs[is_baseline(runs)]
    if learnt.empty:
        return []
    if fixed.empty:
        return [
            "Whether learnt ranks pay off is not told, for no run has fixed ranks: add init=fixed "
            "for a verdict."
        ]
    seeds = [set(one.loc[one["status"] == FINISHED, "seed"]) for one in (learnt, fixed)]
    if seeds[0] & seeds[1]:
        return []
    return [
        "Whether learnt ranks pay off is not told, for no seed is finished both with learnt and "
        "with fixed ranks: give both the same seeds for a verdict."
    ]
