"""From run folders to verdicts: which runs are compared with which."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.report.compare.comparison import Comparison, compare_inits
from lora_sweep.report.compare.sentences import comparison_section, verdict_lines
from lora_sweep.report.table.collect import collect_runs


def _one(sweep: Any, **options: float) -> Comparison:
    (comparison,) = compare_inits(collect_runs(sweep.path), **options)
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
    assert line.adjusted_p == line.paired.p > 0.05
    assert line.verdict == "not resolved"


def test_setting_is_chosen_by_the_other_seeds(sweep: Any, settings: Any) -> None:
    learnt = {("uniform", 0.1): [0.9, 0.5, 0.5], ("uniform", 0.2): [0.6, 0.6, 0.6]}
    _fill(sweep, settings, {**learnt, ("fixed", None): [0.5, 0.5, 0.5]})
    line = _one(sweep).lines[0]
    # seed 0 is judged at lr 0.2, for the others do better there; they at 0.1, for seed 0's 0.9
    assert line.paired.differences == pytest.approx((10, 0, 0))
    assert line.n_settings == 2


def test_clear_difference_is_resolved(sweep: Any, settings: Any) -> None:
    better, base = [0.70, 0.71, 0.72, 0.73], [0.60, 0.605, 0.62, 0.64]
    _fill(sweep, settings, {("uniform", 0.1): better, ("randn", 0.1): base, ("fixed", None): base})
    uniform, randn = _one(sweep).lines
    assert (uniform.verdict, randn.verdict) == ("better", "not resolved")
    assert uniform.adjusted_p == pytest.approx(2 * uniform.paired.p)  # Holm over two lines
    assert _one(sweep, region=20.0).lines[0].verdict == "not resolved"


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


def test_seeds_that_a_setting_lacks_are_left_out(sweep: Any, settings: Any) -> None:
    learnt = {("uniform", 0.1): [0.7, 0.6, 0.5], ("uniform", 0.2): [0.7, 0.6]}
    _fill(sweep, settings, {**learnt, ("fixed", None): [0.5, 0.5, 0.5]})
    comparison = _one(sweep)
    assert len(comparison.lines[0].paired.differences) == 2
    assert comparison.n_left_out == 1


def test_init_effect_is_over_the_blocks_that_all_have(sweep: Any, settings: Any) -> None:
    learnt = {("uniform", 0.1): [0.7, 0.6], ("uniform", 0.2): [0.7], ("randn", 0.1): [0.6, 0.5]}
    _fill(sweep, settings, learnt)
    comparison = _one(sweep)
    assert comparison.n_blocks == 2
    assert comparison.effect_p == pytest.approx(0.5)  # 2 of 4 relabellings
    assert comparison.lines == ()


def test_sentences_say_what_was_seen(sweep: Any, settings: Any) -> None:
    better, base = [0.70, 0.71, 0.72, 0.73], [0.60, 0.605, 0.62, 0.64]
    _fill(sweep, settings, {("left_skewed", 0.1): better, ("fixed", None): base})
    comparison = _one(sweep)
    text = "\n".join(comparison_section([comparison]))
    (verdict,) = verdict_lines([comparison], "left_skewed")
    assert verdict_lines([comparison], "uniform") == []
    assert "Left skewed against fixed, rank 20: **better** (+9.88 points" in verdict
    assert "| Left skewed | fixed, rank 20 |" in text
    assert "larger than 0.5 points" in text


def test_nothing_finished_says_nothing(sweep: Any, settings: Any, tmp_path: Path) -> None:
    sweep.fail("a", settings(), "error")
    assert compare_inits(collect_runs(sweep.path)) == []
    assert comparison_section([]) == []
