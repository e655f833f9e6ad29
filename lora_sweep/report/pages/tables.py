"""Summary -> the table of all cells, with the study's columns, and the same as one CSV table.

Metrics are percent with two decimals, `67.84 ± 0.87`; one seed has no std, `67.84`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lora_sweep.report.table.summarise import cell_settings
from lora_sweep.report.table.tidy import KIND, keeps_ranks, tuned_by_kind
from lora_sweep.spreadsheets import without_formula
from lora_sweep.vocabulary import (
    COLLAPSED,
    FAILED,
    FIXED,
    MISSING,
    ONLY_LEARNT,
    PRUNED,
    UNREADABLE,
)

Value = str | int | float | None

STUDY_COLUMNS = {
    # heading -> setting
    "Task": "data.task",
    "Rank Min": "rank.min",
    "Rank Max": "rank.max",
    "Alpha Min": "alpha.min",
    "Alpha Max": "alpha.max",
    "LR": "lr",
    "Rank Avg": "rank.average",
}
# Where these are the same in every cell, one column says both.
_REPEATS = {
    "budget.start_average": "rank.average",
    "budget.end_average": "rank.average",
}
# Where the second is known, so are these.
_FOLLOWS = {"data.name": "data.task", "data.content": "data.task", KIND: "init"}
_OF_SOME = (*ONLY_LEARNT, "adapter.", "learning_rate.adapter", "model.adapted")
"""Settings, or starts of their names, that not all runs have."""
_LABELS = {
    "data.content": "data",
    "model.content": "model",
    "model.adapter_content": "model.adapter",
    "init.content": "init.run",
}
"""What is typed to choose another content."""


RESULT, FINAL, SEEDS, NOTES = "Median ± Std", "Final Median ± Std", "Seeds", "Notes"
SPENT, TRAINED = "Spent Avg", "Trained"
"""What came of a cell, as the headings of columns."""
_SHOWN_DIFFERENCE = 0.05
"""Ranks; an integer budget misses its average by less where it is spent."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: the table's heading.
        columns: names of the columns; the first one says what a row is of.
        rows: a value a column; None is printed blank.
        settings: the columns that say what was run; the others say what came of it.
        kept: the columns that stay where one value stands in all rows.
        leading: places of the rows whose `RESULT` stands out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    settings: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    leading: frozenset[int] = frozenset()


def cells_table(summary: pd.DataFrame) -> Table:
    """Returns the table of all cells, in the summary's order: by init, best first.

    The columns are the init; the study's eight, `Rank Avg` being what the budget pays for
    (`17.7 → 25` where it moves); `Seeds`, finished of expected; the final metric; `Spent Avg`,
    what the runs spent at their reported epochs, if it is something else in any cell; `Trained`,
    the trained parameters without the head, where not all are LoRA-XS's; every other
    setting that varies between the cells; and `Notes` if any cell has one.

    Args:
        summary: as from `summarise_runs`.
    """
    varying = varying_settings(summary)
    cells = _without_cap_of_fixed(summary).to_dict("records")
    notes = [cell_note(cell) for cell in cells]
    results = [RESULT, SEEDS, FINAL, *([SPENT] if any(map(_spends_otherwise, cells)) else [])]
    results += [TRAINED] if KIND in summary.columns else []
    columns = ["Init", *STUDY_COLUMNS, *results, *map(setting_label, varying)]
    rows = [_table_row(cell, results, varying) for cell in cells]
    if any(notes):
        columns.append(NOTES)
        rows = [(*row, note or None) for row, note in zip(rows, notes, strict=True)]
    return Table(
        title="All cells",
        columns=tuple(columns),
        rows=tuple(rows),
        settings=("Init", *STUDY_COLUMNS, *map(setting_label, varying)),
        kept=("Init", *STUDY_COLUMNS, RESULT, FINAL, NOTES),
        leading=_leading(summary),
    )


def _leading(summary: pd.DataFrame) -> frozenset[int]:
    """Places of the cells with the highest median of their corpus and base.

    None leads where it is alone, or where every run collapsed.
    """
    tuned = tuned_by_kind(summary)
    names = [name for name in cell_settings(summary) if not name.startswith(tuned)]
    same = [name for name in names if name.startswith(("data.", "model."))]
    cells = summary[summary["median"].notna()]
    leading: set[int] = set()
    groups = [g for _, g in cells.groupby(same, dropna=False, sort=False)] if same else [cells]
    for own in groups:
        if len(own) > 1 and (own["n_collapsed"] < own["n_seeds"]).any():
            leading.update(own.index[own["median"] == own["median"].max()])
    return frozenset(leading)


def _without_cap_of_fixed(summary: pd.DataFrame) -> pd.DataFrame:
    """The cells; fixed ranks have no range, so their `rank.max` (the size of R) is left out.

    It stays where it is all that tells cells of one rank apart.
    """
    cap, average = "rank.max", "rank.average"
    if not {cap, average} <= set(summary.columns):
        return summary
    fixed = summary[summary["init"] == FIXED]
    if (fixed.groupby(average)[cap].nunique() > 1).any():
        return summary
    return summary.assign(**{cap: summary[cap].where(summary["init"] != FIXED)})


def to_csv_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Returns a row a cell with raw numbers: metrics 0 to 1, nothing rounded.

    Columns: `init`, the study's settings and the varying ones by dotted name, the statistics,
    `notes`. Lists are joined by "; ".

    Args:
        summary: as from `summarise_runs`.
    """
    settings = ["init", *STUDY_COLUMNS.values(), *varying_settings(summary)]
    statistics = [
        name for name in summary.columns if name not in {*cell_settings(summary), "shares_a_run"}
    ]
    rows = [
        [plain(cell.get(name)) for name in (*settings, *statistics)] + [cell_note(cell)]
        for cell in summary.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=[*settings, *statistics, "notes"], dtype=object)


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with a quote before text that a spreadsheet would take for a formula."""
    return table.map(without_formula).rename(columns=without_formula)


def varying_settings(summary: pd.DataFrame) -> list[str]:
    """Returns the settings beyond the study's columns that vary between the cells."""
    others = [
        name
        for name in cell_settings(summary)
        if name != "init" and name not in STUDY_COLUMNS.values()
    ]
    return [name for name in others if _varies(summary, name) and not _repeats(summary, name)]


def setting_label(name: str) -> str:
    """Returns what people call a setting."""
    return _LABELS.get(name, name)


def cell_note(cell: dict[Any, Any]) -> str:
    """Returns what a reader must know of a cell besides its numbers; empty for most."""
    counted = {what: what for what in (FAILED, PRUNED, MISSING, UNREADABLE)}
    counted["collapsed"] = COLLAPSED
    notes = [f"{n} {words}" for what, words in counted.items() if (n := cell[f"n_{what}"])]
    return ", ".join([*notes, "shares a run"] if cell["shares_a_run"] else notes)


def median_and_std(median: float, std: float) -> str | None:
    """Returns a metric's median ± std in percent; None without a run, no std for one seed.

    Args:
        median: over the seeds, 0 to 1; NaN without a finished run.
        std: sample std over the seeds, 0 to 1; NaN for one seed.
    """
    if pd.isna(median):
        return None
    # `z`: a rounded zero has no sign.
    shown = f"{100 * median:z.2f}"
    return shown if pd.isna(std) else f"{shown} ± {100 * std:.2f}"


def plain(value: object) -> Value:
    """Returns a setting's value as a table shows it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return "; ".join(str(entry) for entry in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return value
    if isinstance(value, float) and not math.isnan(value):
        return value
    return None


def value_text(value: Value) -> str:
    """Returns a value as a table prints it: numbers in 12 digits at most, None blank."""
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else str(value)


def escape_markdown(text: str) -> str:
    """Returns the text on one line, without a meaning in Markdown or HTML."""
    for character in ("\\", "|", "`", "*", "[", "]"):
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


def init_words(init: str) -> str:
    """Returns an init's name as people write it."""
    name, *more = re.split(r"(?=[ ,])", init, maxsplit=1)  # behind it, a mode or a group
    words = name.replace("_", " ")
    return "".join([words[:1].upper(), words[1:], *more])


def cell_words(cell: Mapping[Any, Any]) -> str:
    """Returns what sentences call a cell: `Quadratic, LR 0.01`, `fixed, rank 20`, `LoRA, rank 8`.

    Args:
        cell: its settings.
    """
    if keeps_ranks(str(cell["init"])):
        rank = plain(cell.get("rank.average"))
        name = FIXED if cell["init"] == FIXED else init_words(str(cell["init"]))
        words = name if rank is None else f"{name}, rank {rank}"
    else:
        lr = plain(cell.get("lr"))
        words = init_words(str(cell["init"])) + ("" if lr is None else f", LR {lr:.12g}")
    sweep = plain(cell.get("sweep"))
    return words if sweep is None else f"{words}, {sweep}"


def budget_average(cell: Mapping[Any, Any]) -> Value:
    """Returns the average rank that a cell's budget pays for; `17.7 → 25` where it moves.

    Args:
        cell: its settings. A budget of its own goes before `rank.average`.
    """
    names = ("rank.average", "budget.start_average", "budget.end_average")
    average, start, end = (plain(cell.get(name)) for name in names)
    if not isinstance(start, int | float) or not isinstance(end, int | float):
        return average
    if start != end:
        return f"{start:.3g} → {end:.3g}"
    return average if start == average else start


def _spends_otherwise(cell: Mapping[Any, Any]) -> bool:
    """Whether a cell's runs spend something else than `Rank Avg` says."""
    spent, average = plain(cell["spent_average"]), budget_average(cell)
    if not isinstance(spent, int | float):
        return False
    if not isinstance(average, int | float):
        return True
    return abs(spent - average) > _SHOWN_DIFFERENCE


def _table_row(cell: dict[Any, Any], results: list[str], varying: list[str]) -> tuple[Value, ...]:
    n_seeds, n_expected = cell["n_seeds"], cell["n_expected"]
    study = [plain(cell.get(name)) for name in list(STUDY_COLUMNS.values())[:-1]]
    spent = plain(cell["spent_average"])
    of_cell = {
        RESULT: median_and_std(cell["median"], cell["std"]),
        SEEDS: str(n_seeds) if n_seeds == n_expected else f"{n_seeds}/{n_expected}",
        FINAL: median_and_std(cell["final_median"], cell["final_std"]),
        SPENT: round(spent, 1) if isinstance(spent, float) else None,
        TRAINED: plain(cell["n_trained"]),
    }
    return (
        init_words(str(cell["init"])),
        *study,
        budget_average(cell),
        *(of_cell[name] for name in results),
        *(plain(cell[name]) for name in varying),
    )


def _with_effect(summary: pd.DataFrame, name: str) -> pd.Series:
    """The setting's values in the cells in which it has an effect."""
    # Runs without logits, or of other adapters, have none of these, which is no difference that a
    # table has to show.
    return summary[name].dropna() if name.startswith(_OF_SOME) else summary[name]


def _varies(summary: pd.DataFrame, name: str) -> bool:
    return len({plain(value) for value in _with_effect(summary, name)}) > 1


def _repeats(summary: pd.DataFrame, name: str) -> bool:
    other = _REPEATS.get(name) or _FOLLOWS.get(name)
    if other is None or other not in summary.columns:
        return False
    own = _with_effect(summary, name)
    others = summary.loc[own.index, other]
    both = [(plain(a), plain(b)) for a, b in zip(others, own, strict=True)]
    if name in _FOLLOWS:
        return len(set(both)) == len({first for first, _ in both})
    return all(first == second for first, second in both)
