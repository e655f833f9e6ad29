"""From run folders to verdicts: which runs are compared with which."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lora_sweep.report.compare.comparison import Comparison, compare_inits
from lora_sweep.report.compare.question import Question
from lora_sweep.report.compare.sentences import (
    comparison_section,
    verdict_tables,
    verdict_words,
)
from lora_sweep.report.statistics.paired import compare_paired
from lora_sweep.report.statistics.power import seeds_to_find, upper_limit_of_spread
from lora_sweep.report.table.collect import collect_runs


def _one(sweep: Any, **asked: Any) -> Comparison:
    (comparison,) = compare_inits(collect_runs(sweep.path), question=Question(**asked))
    return comparison


def _fill(sweep: Any, settings: Any, values: dict[tuple[str, float | None], list[float]]) -> None:
    """Runs of each init and lr, one a seed."""
    for (init, lr), own in values.items():
        for seed, value in enumerate(own):
            chosen = (
                settings(init=init, seed=seed)
                if lr is None
                else settings(init=init, lr=lr, seed=seed)
            )
            sweep.finish(f"{init}-{lr}-{seed}", value, chosen)


def test_init_is_paired_with_the_baseline_by_seed(sweep: Any, settings: Any) -> None:
    _fill(
        sweep, settings, {("uniform", 0.1): [0.71, 0.62, 0.83], ("fixed", None): [0.7, 0.6, 0.8]}
    )
    line = _one(sweep).lines[0]
    assert (line.init, line.baseline, line.n_settings) == ("uniform", "fixed, rank 20", 1)
    assert line.paired.differences == pytest.approx((1, 2, 3))
    assert line.verdict.claim == "not resolved"
    assert line.verdict.p == line.paired.p_better


def test_setting_is_chosen_by_earlier_seeds(sweep: Any, settings: Any) -> None:
    learnt = {("uniform", 0.1): [0.9, 0.9, 0.5], ("uniform", 0.2): [0.6, 0.6, 0.9]}
    _fill(sweep, settings, {**learnt, ("fixed", None): [0.5, 0.5, 0.5]})
    line = _one(sweep).lines[0]
    # seeds 0 and 1 stand with both settings; they choose lr 0.1 for seed 2, whatever it does
    assert line.paired.differences == pytest.approx((25, 25, 0))
    assert line.n_settings == 2
    mean = _one(sweep, settings="mean").lines[0]
    assert mean.paired.differences == pytest.approx((25, 25, 20))


def test_clear_difference_is_resolved(sweep: Any, settings: Any) -> None:
    better, base = [0.70, 0.71, 0.72, 0.73], [0.60, 0.605, 0.62, 0.64]
    other = [0.601, 0.6, 0.625, 0.63]
    _fill(
        sweep, settings, {("uniform", 0.1): better, ("randn", 0.1): other, ("fixed", None): base}
    )
    uniform, randn = _one(sweep).lines
    assert (uniform.verdict.claim, randn.verdict.claim) == ("better", "not resolved")
    assert uniform.verdict.p == pytest.approx(2 * uniform.paired.p_better)  # Holm over two lines
    asked = {"equivalence_points": 20.0, "difference_points": 30.0}
    assert _one(sweep, **asked).lines[0].verdict.claim == "equivalent"


def test_pairs_are_those_of_the_comparison(sweep: Any, settings: Any) -> None:
    learnt = {("uniform", 0.1): [0.7, 0.6], ("randn", 0.1): [0.7, 0.6, 0.5, 0.4]}
    _fill(sweep, settings, {**learnt, ("fixed", None): [0.5, 0.5, 0.5]})
    uniform, randn = _one(sweep).lines
    assert (len(uniform.paired.differences), len(randn.paired.differences)) == (2, 3)


def test_failures_are_told_apart_from_differences(sweep: Any, settings: Any) -> None:
    for seed in range(8):
        jitter = 0.001 * (seed % 3)
        sweep.finish(f"base-{seed}", 0.5, settings(init="fixed", seed=seed))
        sweep.finish(f"good-{seed}", 0.6 + jitter, settings(init="randn", seed=seed))
        name, own = f"own-{seed}", settings(init="uniform", seed=seed)
        if seed < 3:
            sweep.finish(name, 0.0, own, collapsed=True)
        elif seed < 6:
            sweep.fail(name, own, "the loss was not finite")
        else:
            sweep.finish(name, 0.6 + jitter, own)
    uniform, randn = _one(sweep).lines
    assert uniform.paired.differences == pytest.approx((10.0, 10.1))
    assert (uniform.failures.init, uniform.failures.baseline) == ((6, 8), (0, 8))
    assert uniform.failures_p == pytest.approx(2 * 2 / 2**6)  # Holm over two lines
    assert uniform.fails_more is None and randn.fails_more is None
    (table,) = verdict_tables([_one(sweep)])
    assert table.columns[-2:] == ("Failed, init and baseline", "p of failing")
    assert table.rows[0][-2:] == ("6 of 8 against 0 of 8", "0.0625")
    more = dataclasses.replace(uniform, failures_p=0.03)
    assert (
        verdict_words(more.verdict.claim, more.fails_more)
        == "better where both train, but fails more often"
    )


def test_failures_are_counted_at_the_chosen_settings(sweep: Any, settings: Any) -> None:
    learnt = {("uniform", 0.1): [0.7, 0.71, 0.7, 0.72], ("fixed", None): [0.5] * 4}
    _fill(sweep, settings, learnt)
    for seed in range(4):  # at every seed, but chosen by none from the third on
        sweep.finish(f"high-{seed}", 0.0, settings(lr=0.9, seed=seed), collapsed=True)
    comparison = _one(sweep)
    assert comparison.lines[0].failures.init == (2, 6)
    said = "Failed runs are counted at these settings alone"
    assert said in "\n".join(comparison_section([comparison]))
    whatever = _one(sweep, settings="mean")
    assert whatever.lines[0].failures.init == (4, 8)
    assert said not in "\n".join(comparison_section([whatever]))


def test_nothing_trained_leaves_no_difference(sweep: Any, settings: Any) -> None:
    for seed in range(2):
        for init in ("uniform", "fixed"):
            own = settings(init=init, seed=seed)
            sweep.finish(f"{init}-{seed}", 0.0, own, collapsed=True)
    (table,) = verdict_tables([_one(sweep)])
    (row,) = table.rows
    told = dict(zip(table.columns, row, strict=True))
    assert (told["Seeds"], told["Difference"], told["Verdict"]) == (0, "-", "not resolved")
    assert told["Failed, init and baseline"] == "2 of 2 against 2 of 2"


def test_every_baseline_has_its_line(sweep: Any, settings: Any) -> None:
    _fill(sweep, settings, {("uniform", 0.1): [0.7, 0.6]})
    for rank in (20, 25):
        for seed in range(2):
            chosen = settings(init="fixed", seed=seed, rank__average=rank)
            sweep.finish(f"fixed-{rank}-{seed}", 0.5, chosen)
    assert [line.baseline for line in _one(sweep).lines] == ["fixed, rank 20", "fixed, rank 25"]


def test_other_corpora_are_other_comparisons(sweep: Any, settings: Any) -> None:
    for task in ("cola", "sst2"):
        for init in ("uniform", "fixed"):
            sweep.finish(f"{task}-{init}", 0.5, settings(init=init, data__task=task))
    comparisons = compare_inits(collect_runs(sweep.path))
    assert [c.group for c in comparisons] == ["cola", "sst2"]
    assert all(len(c.lines) == 1 for c in comparisons)


def test_corrections_are_over_all_groups_and_spreads_are_not(sweep: Any, settings: Any) -> None:
    gains = {"cola": (0.10, 0.104, 0.096, 0.1), "sst2": (0.10, 0.14, 0.06, 0.1)}
    for task, own in gains.items():
        for seed, gain in enumerate(own):
            for init, value in (("fixed", 0.5), ("uniform", 0.5 + gain)):
                chosen = settings(init=init, seed=seed, data__task=task)
                sweep.finish(f"{task}-{init}-{seed}", value, chosen)
    comparisons = compare_inits(collect_runs(sweep.path))
    lines = [line for one in comparisons for line in one.lines]
    alone = [compare_paired([np.array(ln.paired.differences)], region=0.5)[0] for ln in lines]
    assert [line.paired for line in lines] == alone  # neither borrows the other's spread
    p = [one.p_better for one in alone]
    assert [ln.verdict.p for ln in lines] == pytest.approx([2 * p[0], max(2 * p[0], p[1])])
    spread = upper_limit_of_spread(lines[1].paired.spread, lines[1].paired.df)
    needed = seeds_to_find(1.5, spread, alpha=0.05 / 2)
    (_, table) = verdict_tables(comparisons)
    assert table.rows[0][table.columns.index("Seeds needed (2 points)")] == str(needed)
    assert "(Holm, over the 2 of all groups)" in "\n".join(comparison_section(comparisons))


def test_seed_that_lacks_a_setting_is_judged_at_the_mean_setting(
    sweep: Any, settings: Any
) -> None:
    learnt = {("uniform", 0.1): [0.7, 0.6, 0.5], ("uniform", 0.2): [0.8, 0.7]}
    _fill(sweep, settings, {**learnt, ("fixed", None): [0.5, 0.5, 0.5]})
    line = _one(sweep, settings="mean").lines[0]
    assert line.paired.differences == pytest.approx((25, 15, 5))


def test_init_effect_is_over_the_seeds_that_all_have(sweep: Any, settings: Any) -> None:
    learnt = {("uniform", 0.1): [0.7, 0.6], ("uniform", 0.2): [0.7], ("randn", 0.1): [0.6, 0.5]}
    _fill(sweep, settings, learnt)
    comparison = _one(sweep)
    assert comparison.effect is not None and comparison.lines == ()
    assert (comparison.effect.n_seeds, comparison.effect.n_settings) == (2, 1)
    assert comparison.effect.p == pytest.approx(0.5)  # 2 of 4 relabellings
    assert comparison.effect.farthest == ("uniform", pytest.approx(5))


def test_best_of_collapsed_runs_does_not_stand_out(sweep: Any, settings: Any) -> None:
    for init in ("uniform", "randn"):
        for seed in range(3):
            sweep.finish(f"{init}-{seed}", 0.0, settings(init=init, seed=seed), collapsed=True)
    comparison = _one(sweep)
    assert comparison.premium is None
    assert "stands out" not in "\n".join(comparison_section([comparison]))


def test_premium_says_which_cells_it_is_of(sweep: Any, settings: Any) -> None:
    values = {("uniform", 0.1): [0.7, 0.6, 0.5], ("randn", 0.1): [0.7, 0.5, 0.7]}
    _fill(sweep, settings, values | {("randn", 0.2): [0.9, 0.9, 0.9]})  # of one init alone
    sweep.finish("gone", 0.0, settings(init="randn", lr=0.1, seed=3), collapsed=True)
    sweep.finish("there", 0.6, settings(init="uniform", lr=0.1, seed=3))
    (said,) = [one for one in comparison_section([_one(sweep)]) if "stand out" in one]
    # medians 0.6 and 0.7
    assert "Of the 2 learnt cells with settings and seeds that all inits share" in said
    assert (
        "the best stands 5.00 points above the mean of their medians (3 to 4 seeds a cell" in said
    )
    assert "so it is not shown to stand out more than chance does" in said


def test_sentences_say_what_was_seen(sweep: Any, settings: Any) -> None:
    better, base = [0.70, 0.71, 0.72, 0.73], [0.60, 0.605, 0.62, 0.64]
    _fill(sweep, settings, {("left_skewed", 0.1): better, ("fixed", None): base})
    comparison = _one(sweep)
    text = "\n".join(comparison_section([comparison]))
    (table,) = verdict_tables([comparison])
    told = dict(zip(table.columns, table.rows[0], strict=True))
    assert (told["Difference"], told["Verdict"]) == ("+9.88", "better")
    assert "| Left skewed | fixed, rank 20 |" in text
    assert "more than 0.5 points" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, None),
        ({"n_commands": 2}, "asked for in 2 commands"),
        ({"n_commands": 2, "has_plan": True}, "stand under «What is resolved?»"),
    ],
)
def test_looks_that_no_p_counts_are_said(
    sweep: Any, settings: Any, options: dict[str, Any], said: str | None
) -> None:
    _fill(sweep, settings, {("uniform", 0.1): [0.7, 0.6], ("fixed", None): [0.5, 0.5]})
    text = "\n".join(comparison_section([_one(sweep)], **options))
    assert ("count no looks" in text) == (said is not None)
    assert said is None or said in text


def test_nothing_finished_says_nothing(sweep: Any, settings: Any, tmp_path: Path) -> None:
    sweep.fail("a", settings(), "error")
    assert compare_inits(collect_runs(sweep.path)) == []
    assert comparison_section([]) == []
