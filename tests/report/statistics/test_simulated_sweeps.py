"""A small run of the simulation in docs/statistics.md: verdicts with a known truth."""

import pytest

from bench.simulated_sweeps import Truth, simulate
from lora_sweep.report.compare import comparison

N_STUDIES = 150


@pytest.fixture(autouse=True)
def no_seeds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many seeds would do is no part of a verdict, and takes half the time."""
    monkeypatch.setattr(comparison, "seeds_to_resolve", lambda *args, **options: None)


def test_nothing_is_better_where_nothing_is() -> None:
    seen = simulate(Truth("no difference", 5), N_STUDIES)
    # at most 5 % of studies; 12 of 150 would be seen by chance in 1 of 20 simulations at 5 %
    assert seen.better <= 12 / N_STUDIES and seen.worse <= 12 / N_STUDIES
    assert 0.93 <= seen.covered <= 0.985


def test_large_difference_is_found() -> None:
    seen = simulate(Truth("better", 8, difference=3.0), N_STUDIES)
    assert seen.found >= 0.7 and seen.worse <= 0.05
    assert 0.93 <= seen.covered <= 0.985


def test_tests_over_the_grid_keep_their_level_and_find() -> None:
    null = simulate(Truth("no difference", 5), 60, n_resamples=99)
    true = simulate(Truth("better", 5, difference=2.0), 20, n_resamples=99)
    assert null.effect is not None and null.premium is not None and true.effect is not None
    assert null.effect <= 0.15 and null.premium <= 0.15
    assert true.effect == 1.0
