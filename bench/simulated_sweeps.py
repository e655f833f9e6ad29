"""Sweeps with a known truth: how often the report's verdicts and intervals are right.

    python -m bench.simulated_sweeps [--studies 1000]

Runs of one seed depend on each other as those of real sweeps do: what a seed does to all runs,
what it does to all runs of one init, and a run's own noise (see `bench.spreads`). Runs may
collapse, end without a result, or be missing; inits may be unequally noisy.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from bench.spreads import Spread
from lora_sweep.report.compare.comparison import Line, compare_pairs
from lora_sweep.report.compare.question import SETTINGS, STANDARD_QUESTION, Question
from lora_sweep.report.statistics.per_seed import over_settings
from lora_sweep.report.statistics.selection import init_effect_p, selection_premium
from lora_sweep.report.table.arms import Arm

PUBLISHED = Spread(seed=0.42, init=0.35, run=0.78)
"""Of the published study's size: 0.95 points in all, the median std of its cells."""
TRAINED = Spread(seed=0.0, init=1.2, run=1.7)
"""Of a sweep on a small corpus: 2.1 points in all, a third of it shared by an init's settings."""
COLLAPSED_AT = 0.0


@dataclass(frozen=True)
class Truth:
    """What a simulated study is made of; levels in points.

    Attributes:
        name: in words.
        n_seeds: seeds of every cell.
        lead: of the first init over the baselines.
        lead_of_all: of all inits over the baselines.
        levels: of the settings, beside each other; their number is that of the settings.
        spread: of the runs.
        n_inits, n_baselines: how many.
        first_noise: how many times as noisy the first init is.
        is_skewed: noise with a long tail downwards.
        init_failures, baseline_failures: share of runs that collapse; an init's runs of one seed
            do so together in two cases of three.
        missing: share of runs that are not there, at random.
    """

    name: str
    n_seeds: int = 8
    lead: float = 0.0
    lead_of_all: float = 0.0
    levels: tuple[float, ...] = (0.0, 0.0, 0.0)
    spread: Spread = PUBLISHED
    n_inits: int = 4
    n_baselines: int = 2
    first_noise: float = 1.0
    is_skewed: bool = False
    init_failures: float = 0.0
    baseline_failures: float = 0.0
    missing: float = 0.0

    def difference(self, init: str) -> float:
        """The true difference of an init and a baseline, at the mean of its settings' levels."""
        return self.lead_of_all + (self.lead if init == "init 0" else 0.0) + _mean(self.levels)


@dataclass
class Seen:
    """What came of simulated studies, in shares.

    Attributes:
        better, worse, equivalent: studies with any false claim of this kind.
        found: studies in which the first init is «better» than a baseline.
        equal: inits other than the first, and baselines, found «equivalent».
        covered: 95 % intervals that hold the true difference.
        fails: studies with any claim that an init fails more, or less, often.
        effect, premium: studies in which the init matters, or the best cell stands out.
    """

    better: list[bool] = field(default_factory=list)
    worse: list[bool] = field(default_factory=list)
    equivalent: list[bool] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    equal: list[bool] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    fails: list[bool] = field(default_factory=list)
    effect: list[bool] = field(default_factory=list)
    premium: list[bool] = field(default_factory=list)

    def share(self, name: str) -> float:
        """Returns the share of a kind; NaN where it was not asked."""
        flags = getattr(self, name)
        return float(np.mean(flags)) if flags else float("nan")


def simulate(
    truth: Truth,
    n_studies: int,
    *,
    question: Question = STANDARD_QUESTION,
    seed: int = 0,
    n_resamples: int = 0,
) -> Seen:
    """Returns how the report's statistics do on studies with this truth.

    Args:
        truth: what they are made of.
        n_studies: how many.
        question: what is asked of them.
        seed: of the simulation.
        n_resamples: relabellings of the permutation tests over the grid; 0 leaves them out.
    """
    rng, seen = np.random.default_rng(seed), Seen()
    for _ in range(n_studies):
        inits, baselines = study(truth, rng)
        pairs = [(init, baseline) for init in inits for baseline in baselines]
        _judge(compare_pairs(pairs, question=question), truth, question, seen)
        if n_resamples:
            _judge_grid(inits, n_resamples, seen)
    return seen


def study(truth: Truth, rng: np.random.Generator) -> tuple[list[Arm], list[Arm]]:
    """Returns the inits and baselines of one study.

    Args:
        truth: what it is made of.
        rng: of the simulation.
    """
    n, spread = truth.n_seeds, truth.spread
    of_seed = 65.0 + spread.seed * rng.standard_normal(n)
    levels = np.array(truth.levels)[:, None]
    arms = []
    for place in range(truth.n_inits + truth.n_baselines):
        is_init = place < truth.n_inits
        noise = truth.first_noise if place == 0 else 1.0
        shape = (len(truth.levels), n) if is_init else (1, n)
        values = of_seed + noise * (
            spread.init * _noise(truth, (1, n), rng) + spread.run * _noise(truth, shape, rng)
        )
        if is_init:
            values += levels + truth.lead_of_all + (truth.lead if place == 0 else 0.0)
        share = truth.init_failures if is_init else truth.baseline_failures
        failed = _failures(share, shape, rng)
        values[failed] = COLLAPSED_AT
        gone = rng.random(shape) < truth.missing
        values[gone], failed[gone] = np.nan, False
        name = f"init {place}" if is_init else f"baseline {place - truth.n_inits}"
        arms.append(Arm(name, tuple(range(n)), values, failed))
    return arms[: truth.n_inits], arms[truth.n_inits :]


def _noise(truth: Truth, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Mean 0, std 1; the skewed one is a turned exponential distribution."""
    return 1.0 - rng.exponential(1.0, shape) if truth.is_skewed else rng.standard_normal(shape)


def _failures(share: float, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    together = rng.random(shape) < 2 / 3
    return np.where(together, rng.random((1, shape[1])), rng.random(shape)) < share


def _judge(lines: Sequence[Line], truth: Truth, question: Question, seen: Seen) -> None:
    region = question.equivalence_points
    claims = [(line, truth.difference(line.init)) for line in lines]
    seen.better.append(any(ln.verdict.claim == "better" and d <= region for ln, d in claims))
    seen.worse.append(any(ln.verdict.claim == "worse" and d >= -region for ln, d in claims))
    seen.equivalent.append(
        any(ln.verdict.claim == "equivalent" and abs(d) >= region for ln, d in claims)
    )
    seen.found.append(any(ln.verdict.claim == "better" and ln.init == "init 0" for ln in lines))
    seen.fails.append(any(line.fails_more is not None for line in lines))
    seen.equal += [ln.verdict.claim == "equivalent" for ln in lines if ln.init != "init 0"]
    seen.covered += [ln.paired.low <= d <= ln.paired.high for ln, d in claims]


def _judge_grid(inits: Sequence[Arm], n_resamples: int, seen: Seen) -> None:
    grid = np.stack([np.where(init.failed, np.nan, init.values) for init in inits])
    levels = np.stack([over_settings(own, np.isnan(own)).values for own in grid])
    levels = levels[:, ~np.isnan(levels).any(axis=0)]
    is_asked = levels.shape[1] >= 2  # of one seed the report says nothing
    seen.effect.append(is_asked and init_effect_p(levels, n_resamples=n_resamples) <= 0.05)
    seen.premium.append(selection_premium(grid, n_resamples=n_resamples).p <= 0.05)


def _mean(levels: Sequence[float]) -> float:
    return sum(levels) / len(levels)


NULLS = (
    Truth("no difference"),
    Truth("no difference, large spread", spread=TRAINED),
    Truth("all inits at +0.49", lead_of_all=0.49),
    Truth("all inits at -0.49, large spread", lead_of_all=-0.49, spread=TRAINED),
    Truth("all inits at +0.51", lead_of_all=0.51),
    Truth("skewed noise", is_skewed=True),
    Truth("skewed noise, all at +0.49", is_skewed=True, lead_of_all=0.49),
    Truth("one init three times as noisy, at +0.49", first_noise=3, lead=0.49),
    Truth("settings of a seed correlated by 0.9", spread=Spread(0.42, 0.81, 0.27)),
    Truth("2 inits, 1 baseline", n_inits=2, n_baselines=1),
    Truth("10 inits", n_inits=10),
    Truth("a tenth of the inits' runs collapse", init_failures=0.1),
    Truth("a tenth of all runs collapse", init_failures=0.1, baseline_failures=0.1),
    Truth("a tenth of all runs missing", missing=0.1),
)
"""Truths with no difference of more than the region, or just more."""
LEADS = (
    Truth("first init +1", lead=1),
    Truth("first init +2", lead=2),
    Truth("first init +2, large spread", lead=2, spread=TRAINED),
    Truth("first init +2, a tenth missing", lead=2, missing=0.1),
    Truth(
        "first init +4, large spread, a tenth collapse", lead=4, spread=TRAINED,
        init_failures=0.1, baseline_failures=0.1,
    ),
)  # fmt: skip
FALSE = {
    "better": "false «better»",
    "worse": "false «worse»",
    "equivalent": "false «equivalent»",
    "fails": "«fails»",
    "effect": "init matters",
    "premium": "best stands out",
    "covered": "intervals hold",
}
FOUND = {
    "found": "first «better»",
    "worse": "false «worse»",
    "effect": "init matters",
    "premium": "best stands out",
    "covered": "intervals hold",
}


def table(
    truths: Sequence[Truth], seeds: Sequence[int], shown: dict[str, str], n_studies: int
) -> str:
    """Returns a row a truth and question, with the shares of all numbers of seeds in a cell.

    Args:
        truths: to simulate; their own numbers of seeds do not count.
        seeds: numbers of them.
        shown: field of `Seen` -> heading.
        n_studies: of each truth and number of seeds.
    """
    rows = []
    for truth in truths:
        for settings in SETTINGS:
            seen = [
                simulate(
                    replace(truth, n_seeds=n), n_studies, question=Question(settings),
                    n_resamples=199,
                )
                for n in seeds
            ]  # fmt: skip
            shares = [" / ".join(f"{100 * one.share(k):.1f}" for one in seen) for k in shown]
            rows.append([truth.name, settings, *shares])
            print(*rows[-1], sep=" | ", flush=True)
    headers = ["Truth", "Question", *shown.values()]
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def main() -> None:
    """Simulates all truths under both questions and prints two tables, shares in percent."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulated_sweeps")
    parser.add_argument("--studies", type=int, default=1_000)
    n_studies = parser.parse_args().studies
    false = table(NULLS, (5, 8, 30), FALSE, n_studies)
    found = table(LEADS, (5, 8, 16, 30), FOUND, n_studies)
    print(f"\n5 / 8 / 30 seeds\n\n{false}\n\n5 / 8 / 16 / 30 seeds\n\n{found}")


if __name__ == "__main__":
    main()
