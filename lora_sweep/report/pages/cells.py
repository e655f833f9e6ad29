"""Summary -> the table of all cells, with the study's columns, and the same as one CSV table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lora_sweep.report.table.labels import (
    budget_average,
    init_words,
    setting_label,
    varying_settings,
)
from lora_sweep.report.table.summarise import cell_settings
from lora_sweep.report.table.tidy import KIND, tuned_by_kind
from lora_sweep.report.text.table import FINAL, NOTES, RESULT, SEEDS, Table
from lora_sweep.report.text.values import Value, median_and_std, plain
from lora_sweep.spreadsheets import without_formula
from lora_sweep.vocabulary import (
    COLLAPSED,
    FAILED,
    FIXED,
    MISSING,
    PRUNED,
    STUDY_COLUMNS,
    UNREADABLE,
)

SPENT, TRAINED = "Spent Avg", "Trained"
"""What came of a cell, as the headings of columns."""
_SHOWN_DIFFERENCE = 0.05
"""Ranks; an integer budget misses its average by less where it is spent."""


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


def cell_note(cell: dict[Any, Any]) -> str:
    """Returns what a reader must know of a cell besides its numbers; empty for most."""
    counted = {what: what for what in (FAILED, PRUNED, MISSING, UNREADABLE)}
    counted["collapsed"] = COLLAPSED
    notes = [f"{n} {words}" for what, words in counted.items() if (n := cell[f"n_{what}"])]
    return ", ".join([*notes, "shares a run"] if cell["shares_a_run"] else notes)


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
