"""What settings, inits and cells are called, and which settings a table has to show."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from lora_sweep.report.table.summarise import cell_settings
from lora_sweep.report.table.tidy import KIND, keeps_ranks
from lora_sweep.report.text.values import Value, plain
from lora_sweep.vocabulary import FIXED, ONLY_LEARNT, STUDY_COLUMNS

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
