"""Which trials are best, on the front, ended how; and how much a second look takes off."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.report.search.trials import (
    best_again,
    best_first,
    counts,
    pareto_front,
    second_looks,
    setting_names,
    spread,
)
from lora_sweep.store.search_record import SearchRecord

from ..searches import again, search, trial


def test_best_trials_stand_first() -> None:
    record = search(
        trial(0, 0.1, 0.3, 0.4),
        trial(1, 0.2, 0.5, 0.6),
        trial(2),
        trial(3, 0.1, 0.3, 0.9),
        trial(4, 0.2, 0.5, 0.6, folders=("trial1-seed0", "trial1-seed1", "trial1-seed2")),
    )
    assert [one.number for one in best_first(record)] == [1, 0, 3]


def test_small_metric_is_best_where_it_is_to_be_small() -> None:
    trials = (trial(0, 0.1, 0.3, 0.4), trial(1, 0.2, 0.5, 0.6))
    record = search(*trials, directions=("minimize",), confirmed=(again(0, 0.4), again(1, 0.2)))
    assert [one.number for one in best_first(record)] == [0, 1]
    assert [one.optimism for one in second_looks(record)] == pytest.approx([0.1, -0.3])
    best = best_again(record)
    assert best is not None and best.number == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_front_is_what_no_other_trial_beats(values: list[tuple[int, int]]) -> None:
    trials = [trial(n, 0.0, m / 10, 1.0, n_params=size) for n, (m, size) in enumerate(values)]
    beaten = {
        number
        for (number, (m, size)), (other, cost) in product(enumerate(values), values)
        if other >= m and cost <= size and (other, cost) != (m, size)
    }
    front = pareto_front(search(*trials))
    assert {one.number for one in front} == set(range(len(values))) - beaten
    sizes = [values[one.number][1] for one in front]
    assert sizes == sorted(sizes)


def test_trials_of_the_same_runs_are_one_point_of_the_front() -> None:
    twin = trial(1, 0.1, 0.2, 0.3, n_params=5, folders=trial(0).folders)
    record = search(trial(0, 0.1, 0.2, 0.3, n_params=5), twin)
    assert [one.number for one in pareto_front(record)] == [0]


def test_trials_told_by_hand_stand_for_themselves() -> None:
    own = {"folders": (), "seeds": (), "metrics": ()}
    record = search(trial(0, 0.1, 0.2, 0.3, **own), trial(1, 0.1, 0.4, 0.5, **own))
    assert [one.number for one in best_first(record)] == [1, 0]


def test_trials_are_counted_by_how_they_ended() -> None:
    ends = ("failed", "pruned", "pruned", "running")
    record = search(trial(9, 0.1, 0.2, 0.3), *[trial(n, status=s) for n, s in enumerate(ends)])
    expected = {"finished": 1, "failed": 1, "pruned": 2, "running": 1, "waiting": 0}
    assert counts(record) == expected


def test_settings_are_those_of_any_trial() -> None:
    record = search(trial(0, params={"lr": 0.1}), trial(1, params={"init": "randn", "lr": 0.2}))
    assert setting_names(record) == ["lr", "init"]


@pytest.mark.parametrize(
    ("metrics", "median", "std"),
    [
        ((0.1, 0.4, 0.2), 0.2, math.sqrt(0.07 / 3)),  # deviations -2/15, 1/6, -1/30
        ((0.1, None, 0.3), 0.2, math.sqrt(0.02)),
        ((None, 0.3), 0.3, math.nan),
        ((), math.nan, math.nan),
    ],
)
def test_spread_is_of_the_metrics_that_are_there(
    metrics: tuple[float | None, ...], median: float, std: float
) -> None:
    assert spread(metrics) == pytest.approx((median, std), nan_ok=True)


@pytest.fixture
def looked_again() -> SearchRecord:
    """Of three trials, one looks 0.2 better than it is, one 0.05 worse, one is not there yet."""
    trials = (trial(0, 0.4, 0.5, 0.6), trial(1, 0.3, 0.4, 0.5), trial(2, 0.2, 0.3, 0.4))
    confirmed = (again(0, 0.2, 0.4, 0.3), again(1, 0.4, 0.5), again(2, None, None))
    return search(*trials, confirmed=confirmed)


def test_optimism_is_what_fresh_seeds_take_off(looked_again: SearchRecord) -> None:
    optimism = [look.optimism for look in second_looks(looked_again)]
    assert optimism == pytest.approx([0.2, -0.05, math.nan], nan_ok=True)


def test_best_again_is_best_on_fresh_seeds(looked_again: SearchRecord) -> None:
    best = best_again(looked_again)
    assert best is not None and best.number == 1
    assert best_again(search(trial(0, 0.1, 0.2, 0.3), confirmed=(again(0, None),))) is None
