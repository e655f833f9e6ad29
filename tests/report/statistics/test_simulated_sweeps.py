"""Small runs of the simulations in docs/statistics.md: claims with a known truth."""

import numpy as np
import pytest

from bench.simulated_looks import simulate as simulate_looks
from bench.simulated_sweeps import PUBLISHED, TRAINED, Truth, simulate, study
from bench.spreads import Spread, estimate_spread
from lora_sweep.report.compare.comparison import compare_groups
from lora_sweep.report.compare.question import Question

N_STUDIES = 120
MOST = 12 / N_STUDIES
"""At a true rate of 5 %, 120 studies show more than 12 false claims in 1 of 100 simulations."""


@pytest.mark.parametrize("settings", ["tuned", "mean"])
@pytest.mark.parametrize(
    "truth",
    [
        Truth("no difference", 5, spread=TRAINED),
        Truth("inside the region, just", 8, lead_of_all=0.49),
        Truth("outside, just", 8, lead_of_all=-0.51, spread=Spread(0.1, 0.1, 0.1)),
        Truth("one init noisy", 5, first_noise=3, lead=0.49),
        Truth("runs collapse and miss", 8, init_failures=0.1, baseline_failures=0.1, missing=0.1),
    ],
    ids=lambda truth: truth.name,
)
def test_each_kind_of_claim_is_seldom_false(truth: Truth, settings: str) -> None:
    seen = simulate(truth, N_STUDIES, question=Question(settings))
    for claim in ("better", "worse", "equivalent", "fails"):
        assert seen.share(claim) <= MOST, claim
    assert 0.93 <= seen.share("covered") <= 0.97


def test_groups_together_keep_the_level() -> None:
    """Eight corpora whose inits lie just inside the region: each alone would err in up to 5 %."""
    truth = Truth("just inside", 5, lead_of_all=0.49, n_inits=1, n_baselines=1)
    rng, n_false = np.random.default_rng(0), 0
    for _ in range(N_STUDIES):
        studies = [study(truth, rng) for _ in range(8)]
        groups = compare_groups([[(inits[0], base[0])] for inits, base in studies])
        n_false += any(line.verdict.claim == "better" for own in groups for line in own)
    assert n_false / N_STUDIES <= MOST


def test_large_difference_is_found_although_runs_collapse() -> None:
    truth = Truth("+4", 8, lead=4, init_failures=0.1, baseline_failures=0.1)
    assert simulate(truth, 60).share("found") >= 0.9


def test_equal_arms_are_found_equivalent() -> None:
    assert simulate(Truth("equal", 30, spread=Spread(0.4, 0.2, 0.3)), 20).share("equal") >= 0.9


def test_claims_over_the_grid_keep_their_level_and_find() -> None:
    dependent = Spread(0.42, 0.81, 0.27)  # an init's settings agree to 0.9 within a seed
    null = simulate(Truth("no difference", 8, spread=dependent), 80, n_resamples=99)
    true = simulate(Truth("+4", 8, lead=4), 10, n_resamples=99)
    # at a true rate of 5 %, 80 studies show more than 9 in 1 of 100 simulations
    assert null.share("effect") <= 9 / 80 and null.share("premium") <= 9 / 80
    assert true.share("effect") == true.share("premium") == 1


def test_spread_of_a_table_is_found() -> None:
    rng = np.random.default_rng(0)
    shape = n_inits, n_settings, n = 6, 4, 4_000
    cells = rng.normal(60, 5, size=(n_inits, n_settings, 1))
    values = cells + PUBLISHED.seed * rng.normal(size=(1, 1, n))
    values = values + PUBLISHED.init * rng.normal(size=(n_inits, 1, n))
    spread = estimate_spread(values + PUBLISHED.run * rng.normal(size=shape))
    for name in ("seed", "init", "run"):
        assert getattr(spread, name) == pytest.approx(getattr(PUBLISHED, name), rel=0.05), name
    shared = PUBLISHED.seed**2 + PUBLISHED.init**2
    assert spread.within_init == pytest.approx(shared / (shared + PUBLISHED.run**2), abs=0.02)


@pytest.mark.parametrize("any_time", [False, True])
def test_claims_of_a_resolve_are_seldom_false(any_time: bool) -> None:
    edge = Truth("just inside", 16, lead=0.49, n_inits=1, n_baselines=1)
    seen, _, _ = simulate_looks(edge, N_STUDIES, any_time=any_time)
    for claim in ("better", "worse", "equivalent"):
        assert seen.share(claim) <= MOST, claim


def test_resolve_ends_soon_where_the_difference_is_large() -> None:
    seen, _, seeds = simulate_looks(Truth("+4", 30, lead=4, n_inits=1, n_baselines=1), 30)
    assert seen.share("found") == 1
    assert seeds <= 8
