"""Tidy table -> the arms of a resolve: every comparison with a baseline, by name."""

import pandas as pd

from lora_sweep.report.table.arms import Arm, arm_of, compared_rows, ended_runs
from lora_sweep.report.table.groups import group_runs


def planned_rows(runs: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], list[tuple[str, str]]]:
    """Returns name -> rows of every arm, and the pairs of one group that are compared.

    Names say the group where the sweep has several.

    Args:
        runs: as from `collect_runs`, whatever became of them.
    """
    groups = group_runs(runs[runs["seed"].notna()])
    rows: dict[str, pd.DataFrame] = {}
    pairs: list[tuple[str, str]] = []
    for group, own in groups.items():
        where = f" ({group})" if len(groups) > 1 else ""
        arms, compared = compared_rows(own)
        rows |= {f"{name}{where}": found for name, found in arms.items()}
        pairs += [(f"{arm}{where}", f"{baseline}{where}") for arm, baseline in compared]
    return rows, pairs


def planned_arms(runs: pd.DataFrame) -> dict[str, Arm]:
    """Returns name -> arm of those that have a run that ended.

    Args:
        runs: as from `collect_runs`.
    """
    rows, _ = planned_rows(runs)
    ended = {name: ended_runs(own) for name, own in rows.items()}
    return {name: arm_of(name, own) for name, own in ended.items() if not own.empty}
