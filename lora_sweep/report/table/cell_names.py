"""What sentences, pictures and comparisons call a cell: a name that no other cell beside it has."""

from typing import Any

import pandas as pd

from lora_sweep.report.pages.tables import (
    STUDY_COLUMNS,
    cell_words,
    plain,
    setting_label,
    varying_settings,
)
from lora_sweep.report.table.summarise import cell_settings
from lora_sweep.report.table.tidy import setting_names
from lora_sweep.vocabulary import FIXED

_IN_WORDS = {"init", "lr", "sweep"}
"""Settings that the words for a cell name anyway."""


def cell_names(cells: pd.DataFrame) -> list[str]:
    """Returns a name for each cell, `Quadratic, LR 0.01, rank.max=30`, in the order of the rows.

    It says every setting in which the cells with learnt ranks differ, or those with fixed ranks.

    Args:
        cells: of one group, a row each, as from `summarise_runs` or with the columns of a run.
    """
    known = set(setting_names(cells)) & set(cell_settings(cells)) - {"seed"}
    cells = cells[[name for name in cells.columns if name in known]]
    is_fixed = cells["init"] == FIXED
    said = {fixed: told_by(cells[is_fixed == fixed], is_fixed=fixed) for fixed in (True, False)}
    return [
        ", ".join([cell_words(cell), *(setting_words(n, cell[n]) for n in said[fixed])])
        for cell, fixed in zip(cells.to_dict("records"), is_fixed, strict=True)
    ]


def told_by(cells: pd.DataFrame, *, is_fixed: bool = False) -> list[str]:
    """Returns the settings that tell cells apart, besides those in `cell_words`.

    Args:
        cells: as in `cell_names`, all of them learnt or all fixed.
        is_fixed: whether their ranks are fixed: then the average is in the words, and the size
            of R is told only where it is not the average's.
    """
    study = [name for name in STUDY_COLUMNS.values() if _n_values(cells, name) > 1]
    names = [name for name in (*study, *varying_settings(cells)) if name not in _IN_WORDS]
    if not is_fixed:
        return names
    names = [name for name in names if name != "rank.average"]
    sizes = "rank.max" in names and cells.groupby("rank.average")["rank.max"].nunique()
    is_told = sizes is not False and bool((sizes <= 1).all())
    return [name for name in names if not (is_told and name == "rank.max")]


def setting_words(name: str, value: Any) -> str:
    """Returns a setting with its value, in every digit, as one would type it: `rank.max=30`."""
    value = plain(value)
    if isinstance(value, float) and float(short := f"{value:g}") == value:
        value = short
    return f"{setting_label(name)}={'null' if value is None else value}"


def _n_values(cells: pd.DataFrame, name: str) -> int:
    return len({plain(value) for value in cells[name]}) if name in cells.columns else 0
