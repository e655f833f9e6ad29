"""Tidy table -> arms: the values of every setting and seed of an init, or of a baseline."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from lora_sweep.report.pages.tables import cell_words
from lora_sweep.report.statistics.paired import Array
from lora_sweep.report.table.summarise import init_place
from lora_sweep.report.table.tidy import WITHOUT_LOGITS, setting_names
from lora_sweep.vocabulary import FIXED


@dataclass(frozen=True)
class Arm:
    """The runs of an init, or of one baseline cell.

    Attributes:
        name: the init, or `fixed, rank 20`.
        seeds: those that all settings have (n).
        values: metric of every setting and seed (n_settings, n), percent.
        n_left_out: finished runs that stand in no complete column.
    """

    name: str
    seeds: tuple[int, ...]
    values: Array
    n_left_out: int


def learnt_arms(runs: pd.DataFrame) -> Iterator[Arm]:
    """Yields the runs of each init (in each of several sweeps) that has a complete cell.

    Args:
        runs: finished ones.
    """
    for (sweep, init), own in _by_sweep(runs[runs["init"] != FIXED]):
        arm = _arm(init if sweep is None else f"{init} of {sweep}", own)
        if arm is not None:
            yield arm


def baseline_arms(runs: pd.DataFrame) -> Iterator[Arm]:
    """Yields each cell with fixed ranks, as an arm with a single setting.

    Args:
        runs: finished ones.
    """
    for cell in _cells(runs[runs["init"] == FIXED]):
        arm = _arm(cell_words(cell.iloc[0].to_dict()), cell)
        if arm is not None:
            yield arm


def cell_values(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the learnt cells that most seeds have (n_cells, n), percent, at common seeds.

    Args:
        runs: finished ones.
    """
    return _complete(_pivot(runs[runs["init"] != FIXED]))


def block_values(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns a row an init, a column a block of setting and seed that all inits have.

    Of runs with logits, and of one way to allocate: the one that most of them have. Empty where
    there are not two inits and two blocks. Percent.

    Args:
        runs: finished ones.
    """
    learnt = runs[~runs["init"].isin(WITHOUT_LOGITS)]
    if "allocation.mode" in learnt.columns and learnt["allocation.mode"].nunique() > 1:
        learnt = learnt[learnt["allocation.mode"] == learnt["allocation.mode"].mode()[0]]
    if learnt["init"].nunique() < 2:
        return pd.DataFrame()
    others = [name for name in setting_names(learnt) if name not in ("init", "seed")]
    setting = learnt.groupby(others, dropna=False, sort=False).ngroup()
    values = learnt.assign(setting=setting, value=100 * learnt["reported_metric"])
    first = values.drop_duplicates(["init", "setting", "seed"])
    blocks = first.pivot_table(index="init", columns=["setting", "seed"], values="value")
    whole = blocks.dropna(axis=1)
    return whole if whole.shape[1] >= 2 else pd.DataFrame()


def _by_sweep(runs: pd.DataFrame) -> Iterator[tuple[tuple[str | None, str], pd.DataFrame]]:
    """The runs of each init, in each of several sweeps."""
    sweeps = dict.fromkeys(runs["sweep"]) if "sweep" in runs.columns else [None]
    for sweep in sweeps:
        own = runs if sweep is None else runs[runs["sweep"] == sweep]
        for init in sorted(set(own["init"]), key=init_place):
            yield (sweep, init), own[own["init"] == init]


def _arm(name: str, runs: pd.DataFrame) -> Arm | None:
    table = _complete(_pivot(runs))
    if table.empty:
        return None
    seeds = tuple(int(seed) for seed in table.columns)
    return Arm(name, seeds, table.to_numpy(float), len(runs) - table.size)


def _cells(runs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    if not runs.empty:
        yield from (cell for _, cell in runs.groupby(_cell_numbers(runs)))


def _cell_numbers(runs: pd.DataFrame) -> "pd.Series[int]":
    names = [name for name in setting_names(runs) if name != "seed"]
    return runs.groupby(names, dropna=False, sort=False).ngroup()


def _pivot(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a cell, a column a seed; NaN where there is no finished run."""
    if runs.empty:
        return pd.DataFrame()
    values = runs.assign(cell=_cell_numbers(runs), value=100 * runs["reported_metric"])
    first = values.drop_duplicates(["cell", "seed"])
    return first.pivot_table(index="cell", columns="seed", values="value")


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """The cells with at least half of the seeds, at the seeds that all of them have."""
    if table.empty:
        return table
    kept = table[table.notna().mean(axis=1) >= 0.5]
    return kept.dropna(axis=1)
