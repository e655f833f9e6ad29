"""Tidy table -> what the sweep can say of its inits: against the baselines, and of choosing.

Values are percent points of the reported metric. Runs are compared within one corpus and base
only. An init's settings are its cells: what it was run with besides the seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lora_sweep.report.statistics.paired import (
    CONFIDENCE,
    PairedComparison,
    compare_paired,
    holm,
    verdict,
)
from lora_sweep.report.statistics.power import seeds_to_resolve
from lora_sweep.report.statistics.selection import (
    SelectionPremium,
    expected_best,
    init_effect_p,
    selection_premium,
)
from lora_sweep.report.table.arms import (
    Arm,
    baseline_arms,
    block_values,
    cell_values,
    learnt_arms,
)
from lora_sweep.report.table.groups import group_runs
from lora_sweep.vocabulary import FINISHED, FIXED

REGION = 0.5
"""Region of practical equivalence, in percent points of the metric."""


@dataclass(frozen=True)
class Line:
    """An init against a baseline.

    Attributes:
        init, baseline: their names.
        n_settings: settings that the init's was chosen among, without the seed that judges it.
        paired: the comparison over the seeds that both have.
        adjusted_p: Holm's p over all lines.
        verdict: `better`, `worse` or `not resolved`.
        seeds_needed: seeds that would find this difference four times in five; None over 1,000.
    """

    init: str
    baseline: str
    n_settings: int
    paired: PairedComparison
    adjusted_p: float
    verdict: str
    seeds_needed: int | None


@dataclass(frozen=True)
class Comparison:
    """What runs over one corpus and base say.

    Attributes:
        group: corpus and base in words.
        metric: name of the headline metric.
        region: of practical equivalence.
        lines: an init and baseline each.
        effect_p: of «the init makes no difference» over the grid; None without two inits.
        farthest: the init whose mean over the grid is farthest from the mean of all, and by how
            much; None without two inits.
        n_blocks: seeds x settings behind both.
        premium: how far the best learnt cell stands out; None without two complete cells.
        best_of: expected best metric of 1, 2, 5, ... of the learnt runs.
        n_left_out: finished runs that no complete comparison could use.
    """

    group: str
    metric: str
    region: float
    lines: tuple[Line, ...]
    effect_p: float | None
    farthest: tuple[str, float] | None
    n_blocks: int
    premium: SelectionPremium | None
    best_of: tuple[tuple[int, float], ...]
    n_left_out: int


def compare_inits(runs: pd.DataFrame, *, region: float = REGION) -> list[Comparison]:
    """Returns a comparison for each corpus and base of the sweep; none without finished runs.

    Args:
        runs: as from `collect_runs`.
        region: of practical equivalence, percent points.
    """
    finished = runs[(runs["status"] == FINISHED) & runs["seed"].notna()]
    return [_compare(name, group, region) for name, group in group_runs(finished).items()]


def _compare(name: str, runs: pd.DataFrame, region: float) -> Comparison:
    learnt, baselines = list(learnt_arms(runs)), list(baseline_arms(runs))
    pooled, blocks = cell_values(runs), block_values(runs)
    values = 100 * runs.loc[runs["init"] != FIXED, "reported_metric"].to_numpy(float)
    n_drawn = [n for n in (1, 2, 5, 10, 20, 50, 100) if n <= len(values)]
    return Comparison(
        group=name,
        metric=str(runs["metric"].iloc[0]),
        region=region,
        lines=compare_arms(learnt, baselines, region=region),
        effect_p=None if blocks.empty else init_effect_p(blocks.to_numpy(float)),
        farthest=None if blocks.empty else _farthest(blocks),
        n_blocks=blocks.shape[1],
        premium=selection_premium(pooled.to_numpy()) if min(pooled.shape) >= 2 else None,
        best_of=tuple((n, expected_best(values, n)) for n in n_drawn),
        n_left_out=sum(arm.n_left_out for arm in learnt),
    )


def compare_arms(
    inits: Sequence[Arm], baselines: Sequence[Arm], *, region: float
) -> tuple[Line, ...]:
    """Returns a line for each init and baseline that have seeds in common.

    Args:
        inits: the inits' runs.
        baselines: the baselines' runs, one setting each.
        region: of practical equivalence, percent points.
    """
    pairs = [(init, baseline) for init in inits for baseline in baselines]
    return compare_pairs(pairs, region=region)


def compare_pairs(pairs: Sequence[tuple[Arm, Arm]], *, region: float) -> tuple[Line, ...]:
    """Returns a line for each pair that has seeds in common.

    Args:
        pairs: an arm, and the one with a single setting that it is held against.
        region: of practical equivalence, percent points.
    """
    compared = [
        (arm, against, paired)
        for arm, against in pairs
        if (paired := _paired(arm, against)) is not None
    ]
    adjusted = holm([paired.p for _, _, paired in compared])
    alpha = (1 - CONFIDENCE) / max(1, len(compared))
    return tuple(
        Line(
            init=init.name,
            baseline=baseline.name,
            n_settings=len(init.values),
            paired=paired,
            adjusted_p=p,
            verdict=verdict(paired, p, region=region),
            seeds_needed=seeds_to_resolve(
                paired.mean, paired.std_error * len(paired.differences) ** 0.5, alpha=alpha
            ),
        )
        for (init, baseline, paired), p in zip(compared, adjusted, strict=True)
    )


def _paired(init: Arm, baseline: Arm) -> PairedComparison | None:
    """The init against the baseline over the seeds that both have."""
    common = [seed for seed in init.seeds if seed in baseline.seeds]
    if not common or (len(init.values) > 1 and len(common) < 2):
        return None
    return compare_paired(
        init.values[:, [init.seeds.index(seed) for seed in common]],
        baseline.values[0, [baseline.seeds.index(seed) for seed in common]],
    )


def _farthest(blocks: pd.DataFrame) -> tuple[str, float]:
    distance = blocks.mean(axis=1) - blocks.to_numpy(float).mean()
    init = str(distance.abs().idxmax())
    return init, float(distance[init])
