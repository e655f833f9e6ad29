"""Cells with a known truth: how often the interval of the metric itself holds it.

    python -m bench.simulated_cells [--cells 1000]

A run is right about a dev example if its skill, the example's ease and a luck of its own sum up to
more than nothing; skills, eases and lucks are normal. Examples are the same for all seeds of a
cell. The truth is the mean Matthews correlation over many seeds and examples.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from lora_sweep.metrics import stacked_metric
from lora_sweep.report.statistics.dev_noise import metric_interval

METRIC = "matthews_correlation"
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """What simulated cells are made of.

    Attributes:
        n_seeds, n_examples: of each cell.
        skill_std: spread of the seeds' skills.
        luck_std: spread of a seed's luck with an example; that of the examples' ease is 1.
    """

    n_seeds: int
    n_examples: int
    skill_std: float
    luck_std: float


def draw_cell(truth: Truth, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Returns predictions (n_seeds, n_examples) and labels (n_examples,)."""
    shape = truth.n_seeds, truth.n_examples
    labels = rng.integers(0, 2, truth.n_examples)
    skill = rng.normal(0.5, truth.skill_std, (truth.n_seeds, 1))
    ease = rng.normal(0.0, 1.0, truth.n_examples)
    is_right = skill + ease + rng.normal(0.0, truth.luck_std, shape) > 0
    return np.where(is_right, labels, 1 - labels), labels


def true_mean(truth: Truth, *, n_cells: int = 50) -> float:
    """Returns the mean metric of many seeds on many examples."""
    rng = np.random.default_rng(1)
    large = Truth(100, 10_000, truth.skill_std, truth.luck_std)
    cells = (draw_cell(large, rng) for _ in range(n_cells))
    return float(np.mean([stacked_metric(METRIC, *cell).mean() for cell in cells]))


def coverage(truth: Truth, n_cells: int, *, n_resamples: int = 100) -> float:
    """Returns the share of cells whose 95 % interval holds the truth."""
    rng, mean = np.random.default_rng(0), true_mean(truth)
    covered = 0
    for _ in range(n_cells):
        interval = metric_interval(*draw_cell(truth, rng), METRIC, n_resamples=n_resamples)
        covered += interval.low <= mean <= interval.high
    return covered / n_cells


TRUTHS = (
    Truth(5, 400, 0.05, 0.3),
    Truth(5, 400, 0.1, 0.7),
    Truth(5, 1_043, 0.1, 0.7),
    Truth(8, 400, 0.1, 0.7),
    Truth(8, 1_043, 0.2, 0.7),
)


def main() -> None:
    """Simulates all truths and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulated_cells")
    parser.add_argument("--cells", type=int, default=1_000)
    n_cells = parser.parse_args().cells
    rows = [
        [t.n_seeds, t.n_examples, t.skill_std, t.luck_std, f"{100 * coverage(t, n_cells):.1f} %"]
        for t in TRUTHS
    ]
    headers = ["Seeds", "Examples", "Std of skill", "of luck", "Intervals that cover"]
    print(tabulate(rows, headers=headers, tablefmt="pipe"))


if __name__ == "__main__":
    main()
