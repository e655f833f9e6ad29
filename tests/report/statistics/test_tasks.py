"""Means over tasks: by hand, and how often a claim is false."""

import numpy as np
import pytest

from lora_sweep.report.statistics.paired import judge
from lora_sweep.report.statistics.tasks import average_ranks, claims_of, mean_over_tasks


def test_shared_seeds_stand_with_their_mean_over_the_tasks() -> None:
    # per seed: 1, 2, 3; so 2 with s = 1, error 1 / sqrt(3), and t(2, 0.975) = 4.302653
    found = mean_over_tasks([{0: 0.0, 1: 4.0, 2: 2.0, 7: 99.0}, {0: 2.0, 1: 0.0, 2: 4.0}])
    assert (found.mean, found.df, found.n_seeds) == (2.0, 2.0, 3)
    assert found.interval == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


def test_tasks_of_other_seeds_combine_their_errors() -> None:
    # means 1 and 5; s^2 / n = 2 / 2 = 1 each; error^2 = (1 + 1) / 4, df = (1/2)^2 / (2 / 16) = 2
    found = mean_over_tasks([{0: 0.0, 1: 2.0}, {5: 4.0, 6: 6.0}])
    assert (found.mean, found.error, found.n_seeds) == (3.0, pytest.approx(0.5**0.5), None)
    assert found.df == pytest.approx(2.0)


def test_each_task_weighs_the_same() -> None:
    assert mean_over_tasks([{0: 0.0, 1: 1.0, 2: -1.0, 3: 0.0}, {9: 2.0, 8: 4.0}]).mean == 1.5


@pytest.mark.parametrize("tasks", [[{0: 1.0}, {1: 2.0}], [{0: 0.1 + 0.2, 1: 0.3, 2: 0.3}] * 2])
def test_without_spread_nothing_is_claimed(tasks: list[dict[int, float]]) -> None:
    found = mean_over_tasks(tasks)
    assert found.interval == (-np.inf, np.inf)
    p = claims_of(found, region=0.5)
    assert (p.p_better, p.p_worse, p.p_equivalent) == (1.0, 1.0, 1.0)


def test_claims_are_t_tests_against_the_region() -> None:
    # t(2): P(T > 4.302653) = 0.025, P(T > 2.919986) = 0.05
    found = mean_over_tasks([{0: -1.0, 1: 0.0, 2: 1.0}])
    error = 1 / 3**0.5
    assert claims_of(found, region=4.302653 * error).p_equivalent == pytest.approx(0.025, rel=1e-5)
    above = mean_over_tasks([{seed: value + 2.0 for seed, value in enumerate((-1.0, 0.0, 1.0))}])
    p = claims_of(above, region=2 - 2.919986 * error)
    assert p.p_better == pytest.approx(0.05, rel=1e-5)
    assert p.p_worse > 0.9


def test_average_ranks_share_ties_and_weigh_tasks_the_same() -> None:
    first = {seed: np.array([3.0, 2.0, 1.0]) for seed in range(4)}  # ranks 1, 2, 3
    second = {0: np.array([1.0, 2.0, 2.0]), 1: np.array([1.0, 2.0, 3.0])}  # 3, 1.5, 1.5; 3, 2, 1
    ranks = [rank.mean for rank in average_ranks([first, second], 3)]
    assert ranks == pytest.approx([(1 + 3) / 2, (2 + 1.75) / 2, (3 + 1.25) / 2])
    assert sum(ranks) == pytest.approx(6)


@pytest.mark.parametrize("shares_seeds", [True, False])
def test_false_claims_stay_under_five_in_a_hundred(shares_seeds: bool) -> None:
    """Two inits at the edge of the region: «better» is false, and so is «equivalent»."""
    rng, n_studies, region = np.random.default_rng(3), 500, 0.5
    n_false = {"better": 0, "equivalent": 0}
    for _ in range(n_studies):
        baseline = rng.normal(0, 1, (3, 6))
        found = []
        for _ in range(2):
            spreads = np.array([[0.5], [1.0], [2.0]])
            values = region + rng.normal(0, spreads, (3, 6)) - baseline
            starts = (0, 0, 0) if shares_seeds else (0, 10, 20)
            tasks = [
                dict(enumerate(own.tolist(), k)) for own, k in zip(values, starts, strict=True)
            ]
            found.append(claims_of(mean_over_tasks(tasks), region=region))
        claims = {verdict.claim for verdict in judge(found)}
        for claim in n_false:
            n_false[claim] += claim in claims
    limit = n_studies * 0.05 + 3 * (n_studies * 0.05 * 0.95) ** 0.5
    assert all(n <= limit for n in n_false.values()), n_false
    assert max(n_false.values()) > 0
