"""The report's section «Search»: what was searched, what was found, how much of it is luck."""

from collections import Counter

import pandas as pd

from lora_sweep.report.search.tables import (
    best_table,
    failure_table,
    fresh_table,
    importance_table,
    points,
)
from lora_sweep.report.search.trials import (
    best_again,
    counts,
    finished_trials,
    second_looks,
    spread,
)
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.values import escape_markdown, median_and_std
from lora_sweep.store.search_record import SearchRecord
from lora_sweep.vocabulary import COLLAPSED, FAILED, FINISHED, PRUNED
from lora_sweep.words import counted

_BEST = (
    "The metric of a trial is the median over its seeds; a std is the sample one (ddof = 1) over "
    "them. The best of many noisy ones owes a part of it to chance."
)
_FRONT = (
    "No other trial has both a higher metric and fewer trained parameters than these. "
    "Trained Params: entries of R within the ranks, and logits; the head, the same in all "
    "trials, is left out. " + _BEST
)
_FRESH = (
    "These runs chose nothing, so theirs is the number to quote. Optimism: points by which a "
    "trial looked better in the search. The best of these few fresh medians is itself a choice, "
    "though a small one. In the table of all cells, a trial's cell holds these runs as well."
)
_IMPORTANCE = (
    "Shares of the metric's variance over the searched ranges (fANOVA, a forest fitted to the "
    "finished trials); they sum to 100 %. With few trials they are a rough guide."
)


def search_section(record: SearchRecord, runs: pd.DataFrame, pictures: list[str]) -> list[str]:
    """Returns paragraphs of Markdown.

    Args:
        record: of the search, finished or not.
        runs: as from `collect_runs`.
        pictures: paragraphs with the search's pictures.
    """
    n_finished = len(finished_trials(record))
    is_front = len(record.objectives) > 1
    parts = ["## Search", _about(record), *collapsed_lines(record, runs)]
    best, fresh, importances = best_table(record), fresh_table(record), importance_table(record)
    if best.rows:
        which = best.title if is_front else f"{best.title} ({len(best.rows)} of {n_finished})"
        parts += [f"### {which}", to_markdown(best), _FRONT if is_front else _BEST]
    if fresh.rows:
        parts += [f"### {fresh.title}", to_markdown(fresh), *optimism_lines(record), _FRESH]
    if importances.rows:
        parts += [f"### {importances.title}", to_markdown(importances), _IMPORTANCE]
    elif record.importances_note is not None:
        parts.append(f"No importances: {escape_markdown(record.importances_note)}.")
    return [*parts, *_failures(record), *pictures]


def trials_line(record: SearchRecord) -> str:
    """Returns how many trials of those asked for ended in which way."""
    n_with = counts(record)
    said = [f"{n_with[status]} {status}" for status in (FINISHED, FAILED, PRUNED)]
    if n_with["running"]:
        said.append(f"{n_with['running']} running or interrupted")
    n_left = record.n_trials - len(record.trials) + n_with["waiting"]
    if n_left > 0:
        said.append(f"{n_left} not begun")
    n_asked = max(record.n_trials, len(record.trials))
    return f"{counted(n_asked, 'trial')}: {', '.join(said)}"


def collapsed_lines(record: SearchRecord, runs: pd.DataFrame) -> list[str]:
    """Returns a sentence where every finished trial collapsed with all its seeds; else none.

    Args:
        record: of the search.
        runs: as from `collect_runs`.
    """
    names = {name for trial in finished_trials(record) for name in trial.folders}
    own = runs[runs["folder"].isin(names) & (runs["status"] == FINISHED)]
    if own.empty or not own["collapsed"].all():
        return []
    n = len(finished_trials(record))
    which = f"All {n} finished trials" if n > 1 else "The only finished trial"
    return [
        f"{which} {COLLAPSED}: each of their runs predicts one class only, so no trial is best. "
        "Search other ranges, or train longer."
    ]


def optimism_lines(record: SearchRecord) -> list[str]:
    """Returns a sentence on what the second look says; none before a trial of it is finished."""
    looks = [look for look in second_looks(record) if points(look.optimism) is not None]
    best = best_again(record)
    if best is None:
        return []
    mean = points(sum(look.optimism for look in looks) / len(looks))
    said = [f"{mean} points of optimism on average over {counted(len(looks), 'trial')}"]
    if len(record.objectives) == 1:
        first = looks[0]
        before, after = (
            median_and_std(spread(metrics)[0], float("nan"))
            for metrics in (first.metrics, first.fresh_metrics)
        )
        own = f"trial {first.number} has {before} in the search and {after} on fresh seeds"
        said = [own, *(said if len(looks) > 1 else [f"{mean} points of optimism"])]
        if len(looks) > 1:
            said.append(f"best on fresh seeds is trial {best.number}")
    sentence = "; ".join(said)
    return [f"{sentence[:1].upper()}{sentence[1:]}."]


def _about(record: SearchRecord) -> str:
    """What was asked for, and how the trials ended."""
    aims = zip(record.directions, record.objectives, strict=True)
    aim = " and ".join(f"{direction} {name}" for direction, name in aims)
    said = (
        f"{trials_line(record)}. To {aim}, sampler {record.sampler}, pruner {record.pruner}, "
        f"study {record.study_name} in {record.storage}."
    )
    pruned = Counter(t.pruned_epoch for t in record.trials if t.status == PRUNED)
    if pruned:
        after = [f"{n} after epoch {epoch}" for epoch, n in sorted(pruned.items(), key=str)]
        said += f" Pruned: {', '.join(after)}."
    return escape_markdown(said)


def _failures(record: SearchRecord) -> list[str]:
    table = failure_table(record)
    return [f"### {table.title}", to_markdown(table)] if table.rows else []
