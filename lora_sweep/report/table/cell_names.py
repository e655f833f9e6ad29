"""What sentences, pictures and comparisons call a cell: a name that no cell beside it has."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lora_sweep.report.table.labels import cell_words, setting_label, varying_settings
from lora_sweep.report.table.summarise import cell_settings
from lora_sweep.report.table.tidy import KIND, keeps_ranks, setting_names
from lora_sweep.report.text.values import plain
from lora_sweep.vocabulary import STUDY_COLUMNS

_IN_WORDS = {"init", "lr", "sweep", KIND}
"""Settings that the words for a cell name anyway."""
_LEARNT = ""


def cell_names(cells: pd.DataFrame) -> list[str]:
    """Returns a name for each cell, `Quadratic, LR 0.01, rank.max=30`, in the order of the rows.

    It says every setting in which the cells with learnt ranks differ, or those with fixed ranks of
    the same adapter.

    Args:
        cells: of one group, as from `summarise_runs`; or runs, as from `collect_runs`, which are
            then called like their cells.
    """
    words = [cell_words(cell) for cell in cells.to_dict("records")]
    both = zip(words, other_settings(cells), strict=True)
    return [", ".join([first, *others]) for first, others in both]


def other_settings(cells: pd.DataFrame) -> list[list[str]]:
    """Returns what each cell's name says besides `cell_words`: `rank.max=30`, in order of rows.

    A setting of the study's columns that a cell does not have, for it has no effect there, is not
    said of it.

    Args:
        cells: as in `cell_names`.
    """
    settings = set(setting_names(cells)) & set(cell_settings(cells)) - {"seed"}
    cells = cells[[name for name in cells.columns if name in settings]]
    among = [init if keeps_ranks(init) else _LEARNT for init in cells["init"]]
    told = {
        init: _told(cells[[one == init for one in among]], is_fixed=init != _LEARNT)
        for init in set(among)
    }
    return [
        [setting_words(name, cell[name]) for name in told[init] if _is_had(name, cell)]
        for cell, init in zip(cells.to_dict("records"), among, strict=True)
    ]


def setting_words(name: str, value: Any) -> str:
    """Returns a setting with its value, in every digit, as one would type it: `rank.max=30`."""
    value = plain(value)
    if isinstance(value, float) and float(short := f"{value:g}") == value:
        value = short
    return f"{setting_label(name)}={'null' if value is None else value}"


def _told(cells: pd.DataFrame, *, is_fixed: bool) -> list[str]:
    """The settings that tell cells apart, besides those in `cell_words`.

    Of fixed ranks the words have the average, and the size of R is told only beside equal ones.
    """
    study = [name for name in STUDY_COLUMNS.values() if _n_values(cells, name) > 1]
    names = [name for name in (*study, *varying_settings(cells)) if name not in _IN_WORDS]
    if not is_fixed:
        return names
    names = [name for name in names if name != "rank.average"]
    if "rank.max" in names and (cells.groupby("rank.average")["rank.max"].nunique() < 2).all():
        names.remove("rank.max")
    return names


def _is_had(name: str, cell: Mapping[Any, Any]) -> bool:
    return name not in STUDY_COLUMNS.values() or plain(cell[name]) is not None


def _n_values(cells: pd.DataFrame, name: str) -> int:
    """How many values a setting has where it has any."""
    values = {plain(value) for value in cells[name]} if name in cells.columns else set()
    return len(values - {None})
