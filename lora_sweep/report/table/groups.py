"""Runs that can be compared: of one corpus and base, and trained alike where ranks are fixed too.

A difference between learnt and fixed ranks is the ranks' only where nothing else differs. So a
group's runs share every setting that has an effect on fixed ranks. Where all ranks are learnt
(a search, say), how they are trained is one more setting of an init, and parts no group. Where
runs have several kinds of adapters, so is what each kind is tuned by: its learning rates, its
scale and the matrices it adapts.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lora_sweep.report.table.cell_names import setting_words
from lora_sweep.report.table.tidy import (
    is_baseline,
    setting_names,
    tuned_by_kind,
)
from lora_sweep.report.text.values import plain
from lora_sweep.vocabulary import ONLY_LEARNT

_CORPUS_AND_BASE = ("data.", "model.")
_ALIKE_BESIDE_FIXED = ("training.", "learning_rate.", "precision")
_SAID = ("data.task", "model.content")
"""Settings that a name says by their values alone."""
_SAID_OF_ONE = ("data.task", "model.name")


def group_runs(runs: pd.DataFrame, *, also: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """Returns name -> runs of each group, in order of appearance; none without runs.

    The name says the settings in which the groups differ: corpus and base, and where those do not
    tell groups apart all that do, `training.batch_size=16`. A lone group has its corpus and base.

    Args:
        runs: as from `collect_runs`, finished or not.
        also: further settings that a group's runs share, where the runs have them.
    """
    if runs.empty:
        return {}
    groups = [
        part
        for group in _parted(runs, [*also, *_starting(runs, _CORPUS_AND_BASE)])
        for part in _parted(group, _conditions(group))
    ]
    return dict(zip(_names(groups, also), groups, strict=True))


def n_tasks(runs: pd.DataFrame) -> int:
    """Returns how many different pairs of a corpus and a base the runs have.

    Args:
        runs: as from `collect_runs`, at least one.
    """
    return len(_parted(runs, _starting(runs, _CORPUS_AND_BASE)))


def _starting(runs: pd.DataFrame, starts: tuple[str, ...]) -> list[str]:
    names = setting_names(runs)
    others = (*ONLY_LEARNT, *tuned_by_kind(runs))
    return [name for name in names if name.startswith(starts) and not name.startswith(others)]


def _conditions(runs: pd.DataFrame) -> list[str]:
    """How runs are trained, where some of them are baselines and some are not."""
    has_both = is_baseline(runs).nunique() > 1
    return _starting(runs, _ALIKE_BESIDE_FIXED) if has_both else []


def _parted(runs: pd.DataFrame, names: Sequence[str]) -> list[pd.DataFrame]:
    same = [name for name in names if name in runs.columns]
    if not same:
        return [runs]
    numbers = runs.groupby(same, dropna=False, sort=False).ngroup()
    return [own for _, own in runs.groupby(numbers, sort=False)]


def _names(groups: Sequence[pd.DataFrame], also: Sequence[str]) -> list[str]:
    """A name for each group, no two alike."""
    shared = [_shared(group, also) for group in groups]
    if len(groups) == 1:
        first = groups[0].iloc[0].to_dict()
        return [", ".join(_values(first, (*also, *_SAID_OF_ONE)))]
    said = _differing(shared, (*also, *_SAID))
    names = [tuple(_values(own, said)) for own in shared]
    alike = {name: [s for s, n in zip(shared, names, strict=True) if n == name] for name in names}
    told = {name: _differing(own, tuple(own[0])) for name, own in alike.items()}
    return [
        ", ".join([*name, *(setting_words(one, own[one]) for one in told[name])])
        for name, own in zip(names, shared, strict=True)
    ]


def _shared(group: pd.DataFrame, also: Sequence[str]) -> dict[str, Any]:
    """The settings that all runs of a group share, of those that part groups."""
    names = [*also, *_starting(group, (*_CORPUS_AND_BASE, *_ALIKE_BESIDE_FIXED))]
    first = group.iloc[0]
    known = [name for name in names if name in group.columns]
    return {n: plain(first[n]) for n in known if group[n].nunique(dropna=False) == 1}


def _differing(groups: Sequence[dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Those of the settings that all groups have and of which there are several values."""
    known = [name for name in names if all(name in group for group in groups)]
    return [name for name in known if len({group[name] for group in groups}) > 1]


def _values(group: dict[Any, Any], names: Sequence[str]) -> list[str]:
    return [str(value) for name in names if (value := plain(group.get(name))) is not None]
