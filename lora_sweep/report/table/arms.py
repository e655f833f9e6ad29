"""Tidy table -> arms: the runs of every setting and seed of an init, or of a baseline."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lora_sweep.report.table.cell_names import cell_names
from lora_sweep.report.table.summarise import init_place
from lora_sweep.report.table.tidy import (
    has_logits,
    has_several_kinds,
    is_baseline,
    setting_names,
)
from lora_sweep.vocabulary import FAILED, FINISHED, FIXED


@dataclass(frozen=True)
class Arm:
    """The runs of an init, or of one baseline cell.

    Attributes:
        name: the init, or that of a baseline: `fixed, rank 20`.
        seeds: in ascending order (n,).
        values: metric of every setting and seed (n_settings, n), percent; NaN where there is
            none, because the run is missing or failed.
        failed: whether the run failed: it ended without a result, or collapsed (n_settings, n).
    """

    name: str
    seeds: tuple[int, ...]
    values: NDArray[np.float64]
    failed: NDArray[np.bool_]


def compared_arms(runs: pd.DataFrame) -> tuple[dict[str, Arm], list[tuple[str, str]]]:
    """Returns name -> arm of all that have a run that ended, and the pairs that are compared.

    Args:
        runs: as from `collect_runs`.
    """
    rows, pairs = compared_rows(ended_runs(runs))
    return {name: arm_of(name, own) for name, own in rows.items()}, pairs


def compared_rows(
    runs: pd.DataFrame,
) -> tuple[dict[str, pd.DataFrame], list[tuple[str, str]]]:
    """Returns name -> rows of each arm, and the pairs of an arm and a baseline to compare.

    Baselines are the cells with fixed ranks of LoRA-XS and of plain LoRA; all other runs of an
    init are an arm, in each of several sweeps one. Each arm is held against each baseline, and
    fixed ranks of LoRA against those of LoRA-XS. Where runs have several kinds of adapters, each
    is tuned: then cells that differ by what they are tuned by alone, their learning rates, are
    one baseline's settings.

    Args:
        runs: of one group, as from `collect_runs`.
    """
    arms, baselines = _arm_rows(runs), _baseline_rows(runs)
    of_lora_xs = [name for name, own in baselines.items() if own["init"].iloc[0] == FIXED]
    others = [name for name in baselines if name not in of_lora_xs]
    pairs = [(arm, baseline) for arm in arms for baseline in baselines]
    pairs += [(other, baseline) for other in others for baseline in of_lora_xs]
    return arms | baselines, pairs


def _arm_rows(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        (init if sweep is None else f"{init} of {sweep}"): own
        for (sweep, init), own in _by_sweep(runs[~is_baseline(runs)])
    }


def _baseline_rows(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    tuned_by = ("learning_rate.",) if has_several_kinds(runs) else ()
    cells = list(_cells(runs[is_baseline(runs)], but=tuned_by))
    told = pd.DataFrame([cell.iloc[0] for cell in cells])
    told = told[[name for name in told.columns if not name.startswith(tuned_by)]]
    names = cell_names(told) if cells else []
    return dict(zip(names, cells, strict=True))


def arm_of(name: str, runs: pd.DataFrame) -> Arm:
    """Returns the arm of these runs: a row a cell, a column a seed.

    Of runs that share cell and seed the first counts.

    Args:
        name: of the arm.
        runs: as from `ended_runs`, at least one.
    """
    cells = runs.assign(
        cell=_cell_numbers(runs), value=100 * runs["reported_metric"], failed=_failed(runs)
    ).drop_duplicates(["cell", "seed"])
    values = cells.pivot(index="cell", columns="seed", values="value")
    failed = cells.pivot(index="cell", columns="seed", values="failed").fillna(False)
    seeds = tuple(int(seed) for seed in values.columns)
    return Arm(name, seeds, values.to_numpy(float), failed.to_numpy(bool))


def init_grid(runs: pd.DataFrame) -> tuple[list[str], NDArray[np.float64]]:
    """Returns inits, and their values at the settings and seeds that all of them have.

    Values: (n_inits, n_settings, n), percent; NaN where a run failed. Of inits with logits, and
    of one way to allocate: the one that most of them have. Empty where there are not two inits.

    Args:
        runs: as from `collect_runs`.
    """
    learnt = ended_runs(runs)
    learnt = learnt[has_logits(learnt)]
    if "allocation.mode" in learnt.columns and learnt["allocation.mode"].nunique() > 1:
        learnt = learnt[learnt["allocation.mode"] == learnt["allocation.mode"].mode()[0]]
    inits = sorted(set(learnt["init"]), key=init_place)
    if len(inits) < 2:
        return [], np.empty((0, 0, 0))
    others = [name for name in setting_names(learnt) if not _is_of_one_init(name, learnt)]
    setting = learnt.groupby(others, dropna=False, sort=False).ngroup() if others else 0
    known = learnt.assign(
        setting=setting, value=(100 * learnt["reported_metric"]).mask(_failed(learnt))
    ).drop_duplicates(["init", "setting", "seed"])
    table = known.set_index(["init", "setting", "seed"])["value"].unstack("init")
    has_run = known.assign(one=1).set_index(["init", "setting", "seed"])["one"].unstack("init")
    shared = table[has_run.notna().all(axis=1)][inits]
    return inits, _whole_settings(shared)


def _is_of_one_init(name: str, learnt: pd.DataFrame) -> bool:
    """Whether a setting is an init's own and no axis: it has one value where it has any."""
    is_own = name.startswith("init.") and learnt[name].nunique() <= 1
    return name in ("init", "seed") or is_own


def ended_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the runs that say something: finished and failed ones."""
    return runs[runs["status"].isin([FINISHED, FAILED]) & runs["seed"].notna()]


def _whole_settings(shared: pd.DataFrame) -> NDArray[np.float64]:
    """(n_inits, n_settings, n) of a table with rows (setting, seed): seeds with all settings."""
    settings = shared.index.unique("setting")
    counts = shared.groupby(level="seed").size()
    seeds = counts.index[counts == len(settings)]
    values = [[shared[init].unstack("seed").loc[s, seeds] for s in settings] for init in shared]
    return np.array(values, dtype=float).reshape(shared.shape[1], len(settings), len(seeds))


def _failed(runs: pd.DataFrame) -> "pd.Series[bool]":
    return (runs["status"] == FAILED) | runs["collapsed"].fillna(False).astype(bool)


def _by_sweep(runs: pd.DataFrame) -> Iterator[tuple[tuple[str | None, str], pd.DataFrame]]:
    """The runs of each init, in each of several sweeps."""
    sweeps = dict.fromkeys(runs["sweep"]) if "sweep" in runs.columns else [None]
    for sweep in sweeps:
        own = runs if sweep is None else runs[runs["sweep"] == sweep]
        for init in sorted(set(own["init"]), key=init_place):
            yield (sweep, init), own[own["init"] == init]


def _cells(runs: pd.DataFrame, *, but: tuple[str, ...] = ()) -> Iterator[pd.DataFrame]:
    """The runs of each cell; cells that differ by settings with those starts alone are one."""
    if not runs.empty:
        yield from (cell for _, cell in runs.groupby(_cell_numbers(runs, but=but)))


def _cell_numbers(runs: pd.DataFrame, *, but: tuple[str, ...] = ()) -> "pd.Series[int]":
    names = [n for n in setting_names(runs) if n != "seed" and not n.startswith(but)]
    return runs.groupby(names, dropna=False, sort=False).ngroup()
