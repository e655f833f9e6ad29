"""Plan and runs -> what is closed at which look; and what a report says of it."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from lora_sweep.errors import RecordError, SettingError
from lora_sweep.report.compare.looks import look
from lora_sweep.report.compare.plan import Plan, read_plan, write_plan
from lora_sweep.report.compare.question import Question
from lora_sweep.report.compare.resolved import (
    Resolution,
    read_resolution,
    resolved_section,
    resolved_table,
)
from lora_sweep.report.compare.resolved import resolved_sentences as sentences
from lora_sweep.report.table.arms import Arm
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.store.looks_made import write_made
from lora_sweep.store.scope import EVERYTHING

PLAN = Plan(Question(), [("a", "base"), ("b", "base")], looks=(4, 6, 8))
NOISE = np.array([0.0, 0.1, -0.1, 0.05, -0.05, 0.02, 0.1, -0.12])


def _arm(name: str, level: float, n: int, spread: float = 1.0) -> Arm:
    values = level + spread * np.roll(NOISE, len(name))[None, :n]
    return Arm(name, tuple(range(n)), values, np.zeros((1, n), dtype=bool))


def _arms(n: int, **changes: Arm) -> dict[str, Arm]:
    return {"a": _arm("a", 3.0, n), "b": _arm("b", 0.5, n), "base": _arm("base", 0, n)} | changes


def test_nothing_is_said_before_the_first_look() -> None:
    progress = look(PLAN, _arms(3))
    assert (progress.resolved, progress.next_look) == ((), 4)
    assert progress.open_arms(PLAN) == ["a", "base", "b"]


def test_closed_comparison_needs_no_more_seeds() -> None:
    progress = look(PLAN, _arms(4))
    a, b = progress.resolved
    assert (a.claim, a.n_seeds, b.claim) == ("better", 4, "not resolved")
    assert a.p <= a.level and b.p > b.level
    assert progress.next_look == 6
    assert progress.open_arms(PLAN) == ["b", "base"]
    # the next look is made although the closed arm has no further seed, and leaves it as it was
    later = look(PLAN, _arms(6, a=_arm("a", 3.0, 4)))
    assert later.resolved[0].n_seeds == 4
    assert later.resolved[1].n_seeds == 6


def test_last_look_ends_it() -> None:
    wild = {"b": _arm("b", 0.6, 8, spread=40.0)}
    progress = look(PLAN, _arms(8, **wild))
    assert progress.resolved[1].is_open and progress.next_look is None


def test_equivalent_and_worse_are_claims_too() -> None:
    arms = _arms(8, a=_arm("a", 0.0, 8), b=_arm("b", -3.0, 8))
    assert [one.claim for one in look(PLAN, arms).resolved] == ["equivalent", "worse"]


def test_failed_run_has_ended_and_missing_one_has_not() -> None:
    arms = _arms(4)
    for name, failed in (("a", True), ("b", False)):
        values, flags = arms[name].values.copy(), arms[name].failed.copy()
        values[0, 1], flags[0, 1] = np.nan, failed
        changed = arms | {name: dataclasses.replace(arms[name], values=values, failed=flags)}
        assert look(PLAN, changed).next_look == (6 if failed else 4)


def test_claim_is_not_bare_where_the_init_fails_more() -> None:
    plan = Plan(Question(), [("a", "base")], looks=(12,))
    a = Arm("a", tuple(range(12)), 3.0 + 0.1 * np.arange(12.0)[None], np.arange(12)[None] < 6)
    base = Arm("base", tuple(range(12)), np.zeros((1, 12)), np.zeros((1, 12), dtype=bool))
    progress = look(plan, {"a": a, "base": base})
    (one,) = progress.resolved
    # 2 of 2^6 flips of the six seeds are as extreme
    assert (one.claim, one.fails_more, len(one.paired.differences)) == ("better", True, 6)
    resolution = Resolution(plan, progress)
    said = "better where both train, but fails more often after 12 seeds (6 trained in both)"
    assert said in sentences(resolution)[0]
    assert resolved_table(resolution).rows[0][2:4] == (
        "better where both train, but fails more often",
        "12 (6 trained in both)",
    )
    assert "this counts no looks" in resolved_section(resolution)[-1]


def test_level_of_a_made_claim_goes_to_the_others() -> None:
    arms = _arms(4, b=_arm("b", 0.55, 4))  # nearest to «better»
    alone = look(dataclasses.replace(PLAN, pairs=[("b", "base")]), arms).resolved[0]
    first, second = look(PLAN, arms).resolved
    assert (first.claim, second.claim) == ("better", "not resolved")
    assert second.level == pytest.approx(alone.level)
    assert first.level < alone.level


def test_spreads_of_other_groups_do_not_count() -> None:
    alone = look(dataclasses.replace(PLAN, pairs=[("a", "base")]), _arms(4)).resolved[0]
    others = {"c": _arm("c", 0.5, 4, spread=40.0), "other base": _arm("other base", 0, 4)}
    plan = dataclasses.replace(PLAN, pairs=[("a", "base"), ("c", "other base")])
    assert look(plan, _arms(4) | others).resolved[0].paired == alone.paired


def test_any_time_looks_at_every_seed() -> None:
    plan = dataclasses.replace(PLAN, any_time=True)
    progress = look(plan, _arms(5, b=_arm("b", 0.6, 5, spread=40.0)))
    assert progress.next_look == 6
    ended = look(plan, _arms(8, b=_arm("b", -3.0, 8)))
    assert [one.claim for one in ended.resolved] == ["better", "worse"]
    assert ended.next_look is None


@pytest.mark.parametrize("any_time", [False, True])
def test_equal_differences_resolve_nothing(any_time: bool) -> None:
    plan = dataclasses.replace(PLAN, any_time=any_time)
    arms = _arms(8, a=_arm("base", 0.0, 8))  # every prediction the same
    assert look(plan, arms).resolved[0].is_open


def test_plan_is_not_changed(tmp_path: Any) -> None:
    assert read_plan(tmp_path) is None
    assert write_plan(tmp_path, PLAN) == PLAN == read_plan(tmp_path) == write_plan(tmp_path, PLAN)
    other = dataclasses.replace(PLAN, looks=(4, 6))
    with pytest.raises(SettingError, match=r"looks must be as planned .*4, 6, 8.*got .4, 6"):
        write_plan(tmp_path, other)
    assert read_plan(tmp_path) == PLAN


@pytest.mark.parametrize("looks", [(), (2, 5), (5, 5), (8, 5), ("a", 4), (4.5,)])
def test_looks_ascend_from_three(looks: tuple[Any, ...]) -> None:
    with pytest.raises(SettingError, match="looks must be ascending numbers of seeds, 3 or more"):
        dataclasses.replace(PLAN, looks=looks)


def test_damaged_plan_is_named(tmp_path: Any) -> None:
    (tmp_path / "resolve.json").write_text(json.dumps({"looks": [3]}), encoding="utf-8")
    with pytest.raises(RecordError, match=r"resolve\.json can't be read"):
        read_plan(tmp_path)


def test_report_says_what_is_resolved(sweep: Any, settings: Any) -> None:
    for seed in range(4):
        jitter = 0.001 * (seed % 3)
        sweep.finish(f"base-{seed}", 0.5, settings(init="fixed", seed=seed))
        sweep.finish(f"own-{seed}", 0.6 + jitter, settings(seed=seed))
    assert read_resolution(sweep.path, collect_runs(sweep.path)) is None
    write_plan(sweep.path, Plan(Question(), [("uniform", "fixed, rank 20")], looks=(4, 8)))
    before = read_resolution(sweep.path, collect_runs(sweep.path))
    assert before is not None and sentences(before) == []  # runs are there, but no look was made
    write_made(sweep.path, 4)
    write_made(sweep.path, 3)  # of a process that comes later
    resolution = read_resolution(sweep.path, collect_runs(sweep.path))
    assert resolution is not None
    assert sentences(resolution) == [
        "Uniform against fixed, rank 20: better after 4 seeds "
        "(+10.07 points on average, median +10.05)."
    ]
    text = "\n".join(resolved_section(resolution))
    assert "at 4, 8 seeds" in text
    assert "| Uniform | fixed, rank 20 | better    | 4" in text


def test_report_of_other_runs_says_the_same(sweep: Any, settings: Any) -> None:
    names: dict[str, Any] = {}
    for seed in range(3):
        for name, init, metric in (("base", "fixed", 0.5), ("own", "uniform", 0.6)):
            names[f"{name}-{seed}"] = settings(init=init, seed=seed)
            sweep.finish(f"{name}-{seed}", metric + 0.001 * seed * (init == "uniform"),
                         names[f"{name}-{seed}"])  # fmt: skip
    write_plan(sweep.path, Plan(Question(), [("uniform", "fixed, rank 20")], looks=(3, 4)))
    write_made(sweep.path, 3)
    sweep.ask_for(
        names, "python -m lora_sweep --multirun hydra/sweeper=resolve init=uniform,fixed"
    )
    of_resolve = read_resolution(sweep.path, collect_runs(sweep.path))
    sweep.ask_for({"other": settings(init="randn", lr=0.5)}, "python -m lora_sweep init=randn")
    of_other = read_resolution(sweep.path, collect_runs(sweep.path))
    of_all = read_resolution(sweep.path, collect_runs(sweep.path, scope=EVERYTHING))
    assert of_resolve is not None and of_resolve.progress.resolved[0].claim == "better"
    assert of_resolve == of_other == of_all
