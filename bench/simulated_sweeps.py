"""Sweeps with a known truth: how often the report's verdicts and intervals are right.

    python -m bench.simulated_sweeps [--studies 1000]

A study has four inits with five settings each and two baselines; every run's metric is its cell's
true value, plus what its seed does to all runs, plus noise: 0.95 points in all, the median std of
the published study's cells.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from lora_sweep.report.compare.comparison import REGION, Line, compare_arms
from lora_sweep.report.statistics.selection import init_effect_p, selection_premium
from lora_sweep.report.table.arms import Arm

INITS = ("uniform", "randn", "quadratic", "left_skewed")
BASELINES = ("fixed, rank 20", "fixed, rank 25")
N_SETTINGS = 5


@dataclass(frozen=True)
class Truth:
    """What a simulated study is made of.

    Attributes:
        name: in words.
        n_seeds: seeds of every cell.
        difference: by which the first init is truly better than all else, in points.
        seed_std: spread of what a seed does to all its runs, in points.
        noise_std: spread of all else, in points.
        is_skewed: noise with a long tail downwards, as runs that nearly collapse give it.
    """

    name: str
    n_seeds: int
    difference: float = 0.0
    seed_std: float = 0.42
    noise_std: float = 0.85
    is_skewed: bool = False


@dataclass(frozen=True)
class Seen:
    """What came of simulated studies, as shares of them.

    Attributes:
        better: studies with any «better» verdict.
        worse: studies with any «worse» verdict.
        found: studies in which the first init is «better» than a baseline.
        covered: 95 % intervals that hold the true difference.
        effect: studies with an effect of the init over the grid at p <= 0.05; None if not asked.
        premium: studies in which the best cell stands out at p <= 0.05; None if not asked.
    """

    better: float
    worse: float
    found: float
    covered: float
    effect: float | None
    premium: float | None


def simulate(truth: Truth, n_studies: int, *, seed: int = 0, n_resamples: int = 0) -> Seen:
    """Returns how the report's statistics do on studies with this truth.

    Args:
        truth: what they are made of.
        n_studies: how many.
        seed: of the simulation.
        n_resamples: relabellings of the permutation tests over the grid; 0 leaves them out.
    """
    rng = np.random.default_rng(seed)
    lines: list[tuple[Line, ...]] = []
    effects, premiums = [], []
    for _ in range(n_studies):
        inits, baselines = _study(truth, rng)
        lines.append(compare_arms(inits, baselines, region=REGION))
        if n_resamples:
            grid = np.stack([init.values.ravel() for init in inits])
            effects.append(init_effect_p(grid, n_resamples=n_resamples) <= 0.05)
            cells = np.concatenate([init.values for init in inits])
            premiums.append(selection_premium(cells, n_resamples=n_resamples).p <= 0.05)
    return Seen(
        better=_share(any(line.verdict == "better" for line in study) for study in lines),
        worse=_share(any(line.verdict == "worse" for line in study) for study in lines),
        found=_share(
            any(line.verdict == "better" and line.init == INITS[0] for line in study)
            for study in lines
        ),
        covered=_share(_covers(line, truth) for study in lines for line in study),
        effect=_share(iter(effects)) if n_resamples else None,
        premium=_share(iter(premiums)) if n_resamples else None,
    )


def _study(truth: Truth, rng: np.random.Generator) -> tuple[list[Arm], list[Arm]]:
    seeds = tuple(range(truth.n_seeds))
    of_seed = rng.normal(0.0, truth.seed_std, truth.n_seeds)
    inits = [
        Arm(
            init,
            seeds,
            (truth.difference if init == INITS[0] else 0.0)
            + of_seed
            + _noise(truth, (N_SETTINGS, truth.n_seeds), rng),
            0,
        )
        for init in INITS
    ]
    baselines = [
        Arm(name, seeds, of_seed + _noise(truth, (1, truth.n_seeds), rng), 0) for name in BASELINES
    ]
    return inits, baselines


def _noise(truth: Truth, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Mean 0; the skewed one is a turned exponential distribution."""
    if truth.is_skewed:
        return np.asarray(truth.noise_std * (1.0 - rng.exponential(1.0, shape)))
    return rng.normal(0.0, truth.noise_std, shape)


def _covers(line: Line, truth: Truth) -> bool:
    true = truth.difference if line.init == INITS[0] else 0.0
    return line.paired.low <= true <= line.paired.high


def _share(flags: Iterator[bool]) -> float:
    return float(np.mean(list(flags)))


TRUTHS = (
    Truth("no difference", 5),
    Truth("no difference", 8),
    Truth("no difference, skewed noise", 5, is_skewed=True),
    Truth("no difference, skewed noise", 8, is_skewed=True),
    Truth("one init better by 2 points", 5, difference=2.0),
    Truth("one init better by 2 points", 8, difference=2.0),
    Truth("one init better by 1 point", 8, difference=1.0),
)


def main() -> None:
    """Simulates all truths and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulated_sweeps")
    parser.add_argument("--studies", type=int, default=1_000)
    n_studies = parser.parse_args().studies
    rows = []
    for truth in TRUTHS:
        seen = simulate(truth, n_studies, n_resamples=199)
        rows.append([truth.name, truth.n_seeds, *_percents(seen)])
        print(rows[-1], flush=True)
    headers = [
        "Truth", "Seeds", "any «better»", "any «worse»", "the first «better»",
        "intervals that cover", "effect of the init", "best cell stands out",
    ]  # fmt: skip
    print(tabulate(rows, headers=headers, tablefmt="pipe"))


def _percents(seen: Seen) -> list[str]:
    shares = [seen.better, seen.worse, seen.found, seen.covered, seen.effect, seen.premium]
    return ["-" if share is None else f"{100 * share:.1f} %" for share in shares]


if __name__ == "__main__":
    main()
