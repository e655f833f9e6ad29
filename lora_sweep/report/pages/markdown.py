"""report.md: the sections of a report in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lora_sweep.report.compare.between import between_section
from lora_sweep.report.compare.comparison import Comparison
from lora_sweep.report.compare.equal_runs import equal_runs_lines
from lora_sweep.report.compare.noise import noise_section
from lora_sweep.report.compare.observation import observation_section
from lora_sweep.report.compare.question import STANDARD_QUESTION, Question
from lora_sweep.report.compare.resolved import Resolution, resolved_section
from lora_sweep.report.compare.sentences import comparison_section
from lora_sweep.report.figures.picture import (
    CELLS,
    COMPARISON,
    FOLDER,
    METHOD,
    RANK_CURVES,
    RANKS,
    SEARCH,
    Picture,
)
from lora_sweep.report.pages.answer import answer_lines
from lora_sweep.report.pages.cells import cells_table
from lora_sweep.report.pages.rank_curves import rank_curves_section
from lora_sweep.report.search.section import search_section
from lora_sweep.report.table.labels import init_words
from lora_sweep.report.table.provenance import provenance_section
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import NOTES, Table
from lora_sweep.report.text.values import escape_markdown
from lora_sweep.vocabulary import (
    COLLAPSED,
    FAILED,
    FINISHED,
    MISSING,
    PRUNED,
    SETTLED,
    UNREADABLE,
)
from lora_sweep.words import counted

_CELL = (
    "A cell is one combination of all settings but the seed; its runs differ in nothing else. "
    "Seeds: finished runs, or finished/expected while some are not. "
    "A std is the sample one (ddof = 1), blank for one seed. The highest median is bold."
)
_BEST = (
    "Each run is reported at its best epoch on dev. That epoch is picked on the set it is "
    "reported on, so the number is optimistic; hold out a selection split "
    "(`data.selection_fraction=0.1`) for one that is not."
)
_SELECTED = (
    "Each run is reported by its dev metric at the epoch that was best on the selection split."
)
_MIXED = (
    "Runs with a selection split are reported by their dev metric at the epoch that was best on "
    "it; the others at their best epoch on dev, which is optimistic."
)
_SETTLED = (
    "With `training.best_from=settled` only epochs count at whose end the rank budget is what it "
    "is at the training's end."
)
_METHOD = (
    "Every matrix starts with a rank by the init schedule. Of a real-valued rank, p(k) makes a "
    "soft mask over R, entry (a, b) being the probability of a k above both; alpha sharpens it as "
    "the training goes on, and every evaluation uses the discrete one."
)
_NOTES = (
    "Notes: a run that collapsed at the end predicts one class only in its last epoch, also where "
    "its best epoch, which the median is of, had learnt; a cell that shares a run holds one that "
    "is counted more than once."
)


@dataclass(frozen=True)
class Findings:
    """What was found of a sweep before it is written down.

    Attributes:
        comparisons: of the inits, as from `compare_inits`.
        pictures: those that lie in the report's folder, in order.
        question: what was asked of the inits.
        extra: further sections.
        resolution: how far the sweep's resolve is; None where there was none.
    """

    comparisons: list[Comparison]
    pictures: Sequence[Picture] = ()
    question: Question = STANDARD_QUESTION
    extra: Sequence[str] = ()
    resolution: Resolution | None = None


def report_text(sweep: Sweep, findings: Findings) -> str:
    """Returns report.md.

    Args:
        sweep: what is reported.
        findings: of it.
    """
    runs, summary = sweep.runs, sweep.summary
    method = _pictures(findings, METHOD)
    parts = [
        *_opening(sweep, findings),
        *_search(sweep, findings),
        *_cells(sweep, findings),
        *_without_result(runs),
        *comparison_section(
            findings.comparisons,
            n_commands=sweep.n_grown,
            has_plan=findings.resolution is not None,
        ),
        *resolved_section(findings.resolution),
        *between_section(
            runs,
            question=findings.question,
            is_explained=any(one.lines for one in findings.comparisons),
        ),
        *_inits(summary, findings),
        *noise_section(sweep),
        *observation_section(runs, sweep.courses),
        *rank_curves_section(sweep, _pictures(findings, RANK_CURVES)),
        *_pictures(findings, RANKS),
        *findings.extra,
        *provenance_section(runs, summary, sweep.commands),
        *(["## How the method works", _METHOD, *method] if method else []),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(sweep: Sweep, findings: Findings) -> list[str]:
    """What a reader wants first: the conclusions, the picture of them, what they rest on."""
    parts = [f"# Sweep {escape_markdown(sweep.name)}"]
    answer = answer_lines(sweep.runs, findings.comparisons, findings.resolution)
    if answer:
        parts.append("\n".join(f"- {escape_markdown(line)}" for line in answer))
    parts += _pictures(findings, COMPARISON)
    counts = f"{counts_line(sweep.runs, sweep.summary)}."
    return [*parts, " ".join([counts, *others_line(sweep)])]


def _search(sweep: Sweep, findings: Findings) -> list[str]:
    if sweep.search is None:
        return []
    return search_section(sweep.search, sweep.runs, _pictures(findings, SEARCH))


def _cells(sweep: Sweep, findings: Findings) -> list[str]:
    """The table of all cells, and how to read it; nothing without a cell."""
    table = cells_table(sweep.summary)
    if not table.rows:
        return []
    notes = [_NOTES] if NOTES in table.columns else []
    return [
        f"## {table.title}",
        to_markdown(table),
        " ".join(["How to read this.", _explanation(sweep.runs), *notes]),
        *map(escape_markdown, equal_runs_lines(sweep.runs, sweep.courses)),
        *_pictures(findings, CELLS),
    ]


def _inits(summary: pd.DataFrame, findings: Findings) -> list[str]:
    """Each init's pictures; nothing where there are none."""
    parts = []
    for init in dict.fromkeys(map(str, summary["init"])):
        pictures = _pictures(findings, init)
        parts += [f"### {escape_markdown(init_words(init))}", *pictures] if pictures else []
    return ["## Init by init", *parts] if parts else []


def _pictures(findings: Findings, section: str) -> list[str]:
    """Pictures of a section in one paragraph, so that they flow; each leads to its SVG."""
    shown = [
        f"[![{escape_markdown(picture.title)}]({FOLDER}/{picture.name}.png)]"
        f"({FOLDER}/{picture.name}.svg)"
        for picture in findings.pictures
        if picture.section == section
    ]
    return ["\n".join(shown)] if shown else []


def counts_line(runs: pd.DataFrame, summary: pd.DataFrame) -> str:
    """Returns how many runs ended in which way, in how many cells."""
    n_with = runs["status"].value_counts()
    counts = [f"{n_with.get(status, 0)} {status}" for status in (FINISHED, FAILED, MISSING)]
    counts += [f"{n_with[status]} {status}" for status in (PRUNED, UNREADABLE) if status in n_with]
    counts.append(f"{runs['collapsed'].sum()} {COLLAPSED}")
    return f"{counted(len(runs), 'run')} in {counted(len(summary), 'cell')}: {', '.join(counts)}"


def others_line(sweep: Sweep) -> list[str]:
    """Returns a sentence on runs that lie beside those reported; none where there are none."""
    if not sweep.n_others:
        return []
    verb = "lies" if sweep.n_others == 1 else "lie"
    return [
        f"{counted(sweep.n_others, 'other run')} {verb} there too, which this sweep's command did "
        "not ask for (the report's option --all takes all runs)."
    ]


def _explanation(runs: pd.DataFrame) -> str:
    finished = runs[runs["status"] == FINISHED]
    if finished.empty:
        return _CELL
    metrics = ", ".join(sorted(set(finished["metric_words"].dropna())))
    has_selected = finished["selected_metric"].notna()
    choice = _SELECTED if has_selected.all() else _MIXED if has_selected.any() else _BEST
    if "training.best_from" in finished and (finished["training.best_from"] == SETTLED).any():
        choice = f"{choice} {_SETTLED}"
    final = "Final Median ± Std is of the last epoch, which is not picked by its metric."
    return f"Median ± Std is of {escape_markdown(metrics)} × 100. {choice} {final} {_CELL}"


def _without_result(runs: pd.DataFrame) -> list[str]:
    """Heading and table of the runs that ended without a result; nothing if all have one."""
    for_reader = runs[runs["status"].isin([FAILED, UNREADABLE])]
    if for_reader.empty:
        return []
    rows = []
    for folder, status, error in for_reader[["folder", "status", "error"]].itertuples(index=False):
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        rows.append((folder, status, first))
    columns = ("Run", "Status", "Error")
    table = Table("Runs without a result", columns, tuple(rows), kept=columns)
    return [f"## {table.title}", to_markdown(table)]
