"""Run tables -> how much seeds, inits within seeds, and single runs scatter.

    python -m bench.spreads outputs/SWEEP

What `bench.simulated_sweeps` should draw to be like a sweep of one's own.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lora_sweep.report.table.arms import init_grid
from lora_sweep.report.table.collect import collect_runs


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a run's parts, in points.

    Attributes:
        seed: what a seed does to all its runs.
        init: what a seed does to all runs of one init besides.
        run: what is left, a run's own.
    """

    seed: float
    init: float
    run: float

    @property
    def within_init(self) -> float:
        """Correlation of an init's runs of one seed at two settings, its cells' levels known."""
        shared = self.seed**2 + self.init**2
        return shared / (shared + self.run**2)


def estimate_spread(values: NDArray[np.float64]) -> Spread:
    """Returns the spread of a balanced grid, from its mean squares; parts below 0 are 0.

        x_iks = cell_ik + seed_s + init_is + run_iks

    Args:
        values: (n_inits, n_settings, n_seeds), at least 2 of each, without NaN.

    Source: expected mean squares of the random-effects layout (Searle et al., Variance
    Components, 1992, chapter 4).
    """
    n_inits, n_settings, n_seeds = values.shape
    x = values - values.mean(axis=2, keepdims=True)
    of_init = x.mean(axis=1)  # (n_inits, n_seeds)
    of_seed = of_init.mean(axis=0)  # (n_seeds,)
    run = ((x - of_init[:, None]) ** 2).sum() / (n_inits * (n_settings - 1) * (n_seeds - 1))
    init = n_settings * ((of_init - of_seed) ** 2).sum() / ((n_inits - 1) * (n_seeds - 1))
    seed = n_inits * n_settings * (of_seed**2).sum() / (n_seeds - 1)
    parts = ((seed - init) / (n_inits * n_settings), (init - run) / n_settings, run)
    return Spread(*(float(max(0.0, part)) ** 0.5 for part in parts))


def main() -> None:
    """Prints the spread of a sweep's runs that trained, seeds with a failed one left out."""
    parser = argparse.ArgumentParser(prog="python -m bench.spreads")
    parser.add_argument("folder", type=Path)
    inits, grid = init_grid(collect_runs(parser.parse_args().folder))
    whole = grid[..., ~np.isnan(grid).any(axis=(0, 1))]
    if min(whole.shape) < 2:
        raise SystemExit(f"there must be 2 inits, settings and seeds, but got {whole.shape}")
    spread = estimate_spread(whole)
    print(
        f"{len(inits)} inits, {whole.shape[1]} settings, {whole.shape[2]} seeds: std of seed "
        f"{spread.seed:.2f}, of init in a seed {spread.init:.2f}, of a run {spread.run:.2f} "
        f"points; correlation of an init's settings in a seed {spread.within_init:.2f}"
    )


if __name__ == "__main__":
    main()
