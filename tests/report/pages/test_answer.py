"""The best cell, and the verdicts in plain words."""

from collections.abc import Callable
from typing import Any

import pytest

from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.pages.answer import answer_lines
from lora_sweep.report.table.collect import collect_runs

Settings = Callable[..., dict[str, Any]]


def answer(sweep: Any) -> list[str]:
    runs = collect_runs(sweep.path)
    return answer_lines(runs, compare_inits(runs))


def fill(sweep: Any, settings: Settings, values: dict[float, list[float]], **own: Any) -> None:
    """Learning rate -> a value a seed."""
    for lr, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            sweep.finish(f"{lr}-{seed}", value, settings(lr=lr, seed=seed), **own)


def test_best_cell_is_named_with_its_median(sweep: Any, settings: Settings) -> None:
    fill(sweep, settings, {0.01: [0.2, 0.9, 0.3], 0.02: [0.5, 0.4, 0.6]})
    first, second, third = answer(sweep)
    assert first == (
        "Best cell: Uniform, LR 0.02: matthews_correlation 50.00 ± 10.00 (median ± std of 3 "
        "seeds)."
    )
    assert second.startswith("It was picked from 2 cells")
    assert third.endswith("no run has fixed ranks: add init=fixed for a verdict.")


def test_one_run_is_the_only_cell(sweep: Any, settings: Settings) -> None:
    fill(sweep, settings, {0.01: [0.5]})
    assert answer(sweep)[0] == (
        "The only cell: Uniform, LR 0.01: matthews_correlation 50.00 (1 seed)."
    )


def test_cells_are_told_apart_by_every_setting(sweep: Any, settings: Settings) -> None:
    for high, value in ((25, 0.4), (30, 0.6)):
        own = settings(rank__max=high, training__epochs=high)
        sweep.finish(f"{high}", value, own)
    assert answer(sweep)[0].startswith(
        "Best cell: Uniform, LR 0.001, rank.max=30, training.epochs=30: "
    )


def test_equal_cells_and_what_is_missing_are_said(sweep: Any, settings: Settings) -> None:
    fill(sweep, settings, {0.01: [0.5, 0.5], 0.02: [0.5, 0.5]})
    sweep.fail("x", settings(lr=0.01, seed=2), "loss became nan")
    assert answer(sweep)[0].endswith(
        "(median ± std of 2 seeds), 1 failed; 1 other cell with the same median."
    )


@pytest.mark.parametrize(("n", "said"), [(2, "all 2 finished runs"), (1, "the only finished run")])
def test_no_cell_is_best_where_all_collapsed(
    n: int, said: str, sweep: Any, settings: Settings
) -> None:
    fill(sweep, settings, {0.01: [0.0] * n}, collapsed=True)
    assert (
        answer(sweep)[0]
        == f"No cell is best: {said} collapsed at the end, predicting one class only."
    )


def test_inits_without_a_common_seed_get_no_verdict(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings(seed=0))
    sweep.finish("b", 0.5, settings(init="fixed", seed=1))
    assert answer(sweep)[-1].endswith("give both the same seeds for a verdict.")


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        # mean 20, std 1, t(2) = 4.303: 20 ± 2.48
        ((0.19, 0.20, 0.21), "Uniform is better than fixed, rank 20: by 20.00 points on average"),
        ((-0.19, -0.20, -0.21), "Uniform is worse than fixed, rank 20: by 20.00 points"),
        ((-0.2, 0.0, 0.3), "Uniform or fixed, rank 20? Not clear yet: the difference is +3.33"),
        ((0.25, 0.25), "Uniform or fixed, rank 20? That can't be told from 2 seeds"),
    ],
    ids=["better", "worse", "unclear", "no spread"],
)
def test_verdict_is_plain(
    differences: tuple[float, ...], said: str, sweep: Any, settings: Settings
) -> None:
    for seed, difference in enumerate(differences):
        sweep.finish(f"f{seed}", 0.5, settings(init="fixed", seed=seed))
        sweep.finish(f"u{seed}", 0.5 + difference, settings(seed=seed))
    assert answer(sweep)[-1].startswith(said)


def test_inits_share_a_sentence_on_each_baseline(sweep: Any, settings: Settings) -> None:
    """Clear verdicts first; every init with its mean difference; what can't be told is said."""
    differences = {
        "uniform": (-0.2, 0.0, 0.3),
        "quadratic": (0.19, 0.20, 0.21),
        "randn": (0.29, 0.30, 0.31),
        "left_skewed": (-0.19, -0.20, -0.21),
        "linear": (0.25, 0.25),  # shows no spread
    }
    for rank in (20, 25):
        for seed in range(3):
            own = settings(init="fixed", rank__average=rank, seed=seed)
            sweep.finish(f"f{rank}-{seed}", 0.5, own)
    for init, of_seeds in differences.items():
        for seed, difference in enumerate(of_seeds):
            sweep.finish(f"{init}{seed}", 0.5 + difference, settings(init=init, seed=seed))
    said = (
        "in points on average: Randn (+30.00) and Quadratic (+20.00) are better; Left skewed "
        "(-20.00) is worse; Uniform (+3.33) is not clear yet; Linear (+25.00) can't be told "
        "from these seeds."
    )
    assert answer(sweep)[-2:] == [f"Against fixed, rank {rank}, {said}" for rank in (20, 25)]


def test_sentence_on_several_inits_says_who_fails(sweep: Any, settings: Settings) -> None:
    for seed in range(12):
        sweep.finish(f"f{seed}", 0.5, settings(init="fixed", seed=seed))
        sweep.finish(f"r{seed}", 0.6 + 0.001 * seed, settings(init="randn", seed=seed))
        own = settings(seed=seed)
        sweep.finish(f"u{seed}", 0.6 + 0.001 * seed, own, collapsed=seed > 2)
    assert answer(sweep)[-1] == (
        "Against fixed, rank 20, in points on average: Uniform (+10.10, fails more often) and "
        "Randn (+10.55) are better."
    )


def test_data_sets_have_answers_of_their_own(sweep: Any, settings: Settings) -> None:
    for task, value in (("cola", 0.4), ("sst2", 0.9)):
        sweep.finish(task, value, settings(data__name=task, data__task=task))
    lines = answer(sweep)
    assert [line.split(":")[0] for line in lines[::2]] == ["cola", "sst2"]
