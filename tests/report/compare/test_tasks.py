"""Sweeps over several tasks -> one verdict; by hand."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.commands.report import main
from lora_sweep.errors import SettingError
from lora_sweep.report.compare.tasks import compare_over_tasks, tasks_section, tasks_sentences
from lora_sweep.report.table.collect import collect_runs, collect_sweeps

Folders = dict[str, Path]


@pytest.fixture
def folders(sweep: Any, settings: Any) -> Folders:
    """Two tasks with three seeds: uniform is +4, +6, +8 in one, and +2, +2, +2 in the other."""
    made: Folders = {}
    for task, gains, lr in (("cola", (4, 6, 8), 0.1), ("rte", (2, 2, 2), 0.2)):
        made[task] = folder = sweep.path.parent / task
        own = type(sweep)(folder)
        for seed, gain in enumerate(gains):
            of_task = {"seed": seed, "data__name": task, "data__task": task}
            own.finish(f"base-{seed}", 0.5, settings(init="fixed", **of_task))
            own.finish(f"own-{seed}", 0.5 + gain / 100, settings(lr=lr, **of_task))
            own.finish(f"low-{seed}", 0.4, settings(init="randn", lr=lr, **of_task))
    return made


def test_differences_are_averaged_over_tasks(folders: Folders) -> None:
    found = compare_over_tasks(collect_sweeps(folders, start=folders["cola"].parent))
    assert len(found.tasks) == 2
    by_init = {line.init: (line.difference, line.verdict) for line in found.lines}
    # per seed 3, 4, 5: mean 4, error 1 / sqrt(3), t = 3.5 sqrt(3) with 2 df; times 2 (Holm)
    mean, verdict = by_init["uniform"]
    assert (mean.mean, mean.n_seeds) == (pytest.approx(4.0), 3)
    assert mean.interval == pytest.approx((4 - 4.302653 / 3**0.5, 4 + 4.302653 / 3**0.5))
    t = 3.5 * 3**0.5
    assert verdict.p == pytest.approx(2 * 0.5 * (1 - t / (2 + t**2) ** 0.5))  # CDF of t, df = 2
    assert verdict.claim == "better"
    assert by_init["randn"][1].claim == "not resolved"  # always -10: no spread, nothing to tell by
    assert [(name, rank.mean) for name, rank in found.ranks] == [
        ("uniform", 1.0),
        ("fixed, rank 20", 2.0),
        ("randn", 3.0),
    ]
    assert "| Uniform | fixed, rank 20 | 3       | +4.00" in tasks_section(found)[1]


def test_command_says_it(folders: Folders, capsys: Any) -> None:
    given = [str(one) for one in folders.values()]
    assert main([*given, "--tasks", "--no-figures", "--no-html"]) == 0
    assert "over 2 tasks, Uniform against fixed, rank 20: better (+4.00 points" in (
        " ".join(capsys.readouterr().out.split())
    )
    report = folders["cola"].parent / "cola_and_rte" / "report.md"
    assert "## Over the tasks" in report.read_text(encoding="utf-8")


def test_init_that_fails_more_is_not_called_better_alone(sweep: Any, settings: Any) -> None:
    folders = {}
    for task in ("cola", "rte"):
        folders[task] = folder = sweep.path.parent / task
        own = type(sweep)(folder)
        for seed in range(12):
            of_task = {"seed": seed, "data__name": task, "data__task": task}
            own.finish(f"base-{seed}", 0.5, settings(init="fixed", **of_task))
            name, chosen = f"own-{seed}", settings(**of_task)
            if seed < 6:
                own.fail(name, chosen, "the loss was not finite")
            else:
                own.finish(name, 0.6 + 0.001 * seed, chosen)
    found = compare_over_tasks(collect_sweeps(folders, start=folders["cola"].parent))
    (line,) = found.lines
    # six seeds fail in both tasks: as one witness each, 2 / 2^6 of the flips are as extreme
    assert (line.verdict.claim, line.fails_more) == ("better", True)
    assert "better where both train, but fails more often" in tasks_sentences(found)[0]
    assert "better where both train, but fails more often" in tasks_section(found)[1]


def test_one_task_is_refused(folders: Folders) -> None:
    runs = collect_sweeps({"cola": folders["cola"]}, start=folders["cola"])
    with pytest.raises(SettingError, match="--tasks must be of sweeps over several tasks"):
        compare_over_tasks(runs)


def test_batch_sizes_of_one_corpus_are_no_tasks(sweep: Any, settings: Any) -> None:
    for size in (16, 32):
        for init in ("fixed", "uniform"):
            chosen = settings(init=init, training__batch_size=size)
            sweep.finish(f"{init}-{size}", 0.5, chosen)
    rule = "--tasks must be of runs that are trained alike within a corpus and base, but got"
    with pytest.raises(SettingError, match=f"{rule} .*batch_size=16; .*batch_size=32"):
        compare_over_tasks(collect_runs(sweep.path))


def test_tasks_without_a_common_baseline_are_refused(folders: Folders) -> None:
    runs = collect_sweeps(folders, start=folders["cola"].parent)
    is_base = (runs["init"] == "fixed") & (runs["sweep"] == "rte")
    with pytest.raises(
        SettingError, match="share an arm, a baseline and seeds, but got uniform; randn"
    ):
        compare_over_tasks(runs[~is_base])
