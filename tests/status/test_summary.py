"""How a sweep stands: what runs, how fast, for how long, and which cell is ahead."""

from pathlib import Path
from typing import Any

import pytest

from lora_sweep.status.cells import CellStatus, best_cells
from lora_sweep.status.folders import SweepFolder
from lora_sweep.status.summary import Status, sweep_status
from lora_sweep.store.claims import LEASE_SECONDS, Claims
from lora_sweep.store.scope import EVERYTHING


def status(sweep: Any) -> Status:
    return sweep_status(SweepFolder(sweep.path))


def ask_for_packs(sweep: Any, *, others: tuple[str, ...] = ()) -> None:
    """Two packs of two runs, four epochs of ten steps each; other runs are asked for with them."""
    n_packs = 2
    names = [*(f"{pack}{run}" for pack in range(n_packs) for run in "ab"), *others]
    sweep.ask_for({name: sweep.settings(seed=seed) for seed, name in enumerate(names)})
    sweep.agree({f"p{pack}": [f"{pack}a", f"{pack}b"] for pack in range(n_packs)})


def test_counts_sum_to_all_runs(sweep: Any) -> None:
    names = "abcdefg"
    asked = {name: sweep.settings(seed=seed) for seed, name in enumerate(names)}
    sweep.ask_for(asked)
    sweep.finish("a", 0.7, asked["a"], collapsed=True)
    sweep.fail("b", asked["b"], "loss became nan")
    sweep.prune("c", asked["c"])
    sweep.write("d", "result.json", "{")
    sweep.agree({"p0": ["a", "e", "f"], "p1": ["g"]})
    with Claims(sweep.path / ".packs").claimed("p0"):
        now = status(sweep)
    assert (now.n_runs, now.finished, now.failed, now.pruned, now.damaged) == (7, 1, 1, 1, 1)
    assert (now.running, now.left, now.collapsed, now.is_over) == (2, 2, 1, False)
    assert list(now.failures.items()) == [("b", "loss became nan")]
    assert list(now.damages) == ["d"]


def test_pack_runs_while_its_claim_is_held(sweep: Any) -> None:
    ask_for_packs(sweep)
    with Claims(sweep.path / ".packs").claimed("p1"):
        (pack,) = status(sweep).packs
        assert (pack.name, pack.runs) == ("p1", ("1a", "1b"))
        assert pack.owner is not None and pack.owner.startswith("process ")
        sweep.age(".packs/p1.claim", LEASE_SECONDS + 5)  # no heartbeat
        assert status(sweep).running == 0
    assert status(sweep).packs == []


def test_time_to_the_end_counts_what_is_half_done(sweep: Any) -> None:
    ask_for_packs(sweep)
    for name in ("0a", "0b"):
        sweep.checkpoint(name, epoch=2, step=20, seconds=100)
    with Claims(sweep.path / ".packs").claimed("p0"):
        now = status(sweep)
    # Two runs came half the way in 100 s: one run's work. Three runs' work is left.
    assert now.packs[0].share == pytest.approx(0.5, abs=0.02)
    assert now.runs_per_hour == pytest.approx(36)
    assert now.seconds_left == pytest.approx(300, rel=0.03)


def test_interrupted_pack_counts_as_half_done(sweep: Any) -> None:
    ask_for_packs(sweep, others=("x",))
    for name in ("0a", "0b"):
        sweep.checkpoint(name, epoch=2, step=20, seconds=100)
    sweep.finish("x", 0.5, sweep.settings(seed=9))
    with Claims(sweep.path / ".packs").claimed("p1"):
        now = status(sweep)
    # A run took 60 s; left are one pack from its start, and half of the other.
    assert (now.running, now.left) == (2, 2)
    assert now.seconds_left == pytest.approx(3 * 60, rel=0.03)


def test_share_within_an_epoch_is_by_steps(sweep: Any) -> None:
    ask_for_packs(sweep)
    sweep.checkpoint("0a", epoch=1, step=15, seconds=100)
    with Claims(sweep.path / ".packs").claimed("p0"):
        (pack,) = status(sweep).packs
    assert pack.noted_share == pytest.approx(15 / 40)


@pytest.mark.parametrize("n_done", [0, 1])
def test_time_to_the_end_is_unknown_at_first_and_when_nothing_runs(
    n_done: int, sweep: Any
) -> None:
    ask_for_packs(sweep)
    for name in ("0a", "0b")[:n_done]:
        sweep.finish(name, 0.5, sweep.settings())
    now = status(sweep)
    assert now.seconds_left is None
    assert (now.runs_per_hour is None) == (n_done == 0)


def cells(sweep: Any) -> list[CellStatus]:
    return best_cells(SweepFolder(sweep.path).look())


def test_best_cell_has_the_highest_median_over_its_seeds(sweep: Any) -> None:
    values = {0.1: (0.2, 0.9, 0.3), 0.2: (0.5, 0.4, 0.6)}
    for lr, own in values.items():
        for seed, value in enumerate(own):
            sweep.finish(f"{lr}-{seed}", value, sweep.settings(lr=lr, seed=seed))
    assert cells(sweep) == [CellStatus({"lr": 0.2}, "accuracy", "accuracy", 0.5, 3, 3, 0)]


def test_incomplete_best_cell_is_marked_and_followed_by_a_complete_one(sweep: Any) -> None:
    sweep.finish("lucky-0", 0.9, sweep.settings(lr=0.2, seed=0), collapsed=True)
    sweep.finish("sure", 0.6, sweep.settings(lr=0.1, seed=0))
    sweep.ask_for(
        {f"lucky-{seed}": sweep.settings(lr=0.2, seed=seed) for seed in range(3)}
        | {"sure": sweep.settings(lr=0.1, seed=0)}
    )
    lucky, sure = cells(sweep)
    assert (lucky.median, lucky.n_seeds, lucky.n_expected) == (0.9, 1, 3)
    assert (lucky.is_complete, lucky.n_collapsed) == (False, 1)
    assert (sure.settings, sure.median, sure.is_complete) == ({"lr": 0.1}, 0.6, True)


def test_data_sets_are_not_compared(sweep: Any) -> None:
    for name, value in (("cola", 0.4), ("sst2", 0.9)):
        sweep.finish(name, value, sweep.settings() | {"data.name": name})
    assert sorted((cell.settings["data.name"], cell.median) for cell in cells(sweep)) == [
        ("cola", 0.4),
        ("sst2", 0.9),
    ]


def test_setting_without_effect_does_not_describe_a_cell(sweep: Any) -> None:
    learnt, fixed = sweep.settings(rank=5), sweep.settings(init="fixed", lr=None, rank=None)
    sweep.finish("a", 0.4, learnt)
    sweep.finish("b", 0.9, fixed)
    assert cells(sweep)[0].settings == {"init": "fixed"}


def test_fixed_ranks_have_no_largest_rank(sweep: Any) -> None:
    sweep.finish("a", 0.4, sweep.settings(**{"rank.max": 25, "rank.average": 20}))
    fixed = {"rank.max": 20, "rank.average": 20, "lr": None}
    sweep.finish("b", 0.9, sweep.settings(init="fixed", **fixed))
    assert cells(sweep)[0].settings == {"init": "fixed"}


def test_setting_that_follows_another_does_not_describe_a_cell(sweep: Any) -> None:
    for average in (10, 20):
        own = {"rank.average": average, "budget.start_average": float(average)}
        sweep.finish(f"a{average}", average / 100, sweep.settings(**own))
    without = {"rank.average": 20, "budget.start_average": None}
    sweep.finish("fixed", 0.1, sweep.settings(init="fixed", **without))
    (best,) = cells(sweep)
    assert best.settings == {"init": "uniform", "rank.average": 20}


def test_tries_that_were_given_up_are_not_left(sweep: Any) -> None:
    sweep.start("single", sweep.settings(n=64))
    sweep.ask_for({"try": sweep.settings(n=64)}, "a try")
    sweep.ask_for({"a": sweep.settings()}, "the sweep")
    sweep.finish("a", 0.5, sweep.settings())
    now = status(sweep)
    assert (now.n_runs, now.finished, now.left, now.others, now.is_over) == (1, 1, 0, 2, True)
    everything = sweep_status(SweepFolder(sweep.path, EVERYTHING))
    assert (everything.n_runs, everything.left, everything.others) == (3, 2, 0)


def test_looking_changes_nothing(sweep: Any, tmp_path: Path) -> None:
    ask_for_packs(sweep)
    sweep.write("0a", "result.json", "{")
    before = sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    status(sweep)
    after = sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    assert after == before


def test_own_files_are_data_sets_of_their_own(sweep: Any) -> None:
    for content, value in (("a", 0.4), ("b", 0.9)):
        files = {"data.name": "files", "data.content": content, "data.path": f"/{content}"}
        sweep.finish(content, value, sweep.settings() | files)
    sweep.finish("c", 0.3, sweep.settings() | {**files, "data.path": "/elsewhere", "lr": 0.7})
    assert sorted(cell.median for cell in cells(sweep)) == [0.4, 0.9]
