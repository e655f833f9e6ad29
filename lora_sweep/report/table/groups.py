"""Runs that can be compared: those over one corpus and base, with the same metric."""

from collections.abc import Sequence

import pandas as pd

from lora_sweep.report.table.tidy import setting_names

_SAME = ("data.", "model.")
_SAID = ("data.task", "model.name")


def group_runs(runs: pd.DataFrame, *, also: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """Returns name -> runs of each corpus and base, in order of appearance; none without runs.

    The name says task and base, and is numbered where those do not tell groups apart.

    Args:
        runs: as from `collect_runs`.
        also: further settings that a group's runs share, where the runs have them.
    """
    same = [name for name in setting_names(runs) if name.startswith(_SAME) or name in also]
    if runs.empty:
        return {}
    numbers = runs.groupby(same, dropna=False, sort=False).ngroup() if same else 0 * runs["seed"]
    groups: dict[str, pd.DataFrame] = {}
    for _, group in runs.groupby(numbers, sort=False):
        name = _name_of(group, (*also, *_SAID))
        n_alike = sum(known.startswith(name) for known in groups)
        groups[f"{name} ({n_alike + 1})" if n_alike else name] = group
    return groups


def _name_of(runs: pd.DataFrame, names: Sequence[str]) -> str:
    known = [runs[name].iloc[0] for name in names if name in runs.columns]
    return ", ".join(str(value) for value in known if not pd.isna(value))
