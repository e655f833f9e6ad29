"""How long workers wait in a search, and how soon it is good: in batches, and one by one.

    python -m bench.asynchronous                     # simulated: the table of docs/search.md
    python -m bench.asynchronous --of outputs/NAME   # of a search that workers have trained

Simulated trials take log-normal times and have a noisy quadratic loss; the sampler is TPE, as a
search makes it. A batch has a trial a worker and is told when its slowest has ended; one by one a
trial is told when it ends, and its worker gets the next one.
"""

import argparse
import heapq
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import Trial
from tabulate import tabulate

from lora_sweep.search.samplers import make_sampler
from lora_sweep.search.space import Space
from lora_sweep.store.search_record import read_search

N_REPETITIONS = 20
N_TRIALS = 64
N_WORKERS = (4, 8)
SIGMAS = (0.5, 1.0)
"""Of a duration's logarithm; the median trial takes 1."""
N_SETTINGS = 4
NOISE = 0.05
GOAL = 0.05
"""Loss without noise that a good trial has at most; a random one has it once in 81 trials."""
SETTINGS = {f"x{place}": FloatDistribution(0.0, 1.0) for place in range(N_SETTINGS)}
RANKS = {"rank.min": 1, "rank.average": 2, "rank.max": 3}
"""Fixed: what is searched is none of them."""
BEST = 0.7
"""Where each setting has no loss."""


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        at: when, in durations of a median trial.
        loss: without noise.
    """

    at: float
    loss: float


def loss(params: Mapping[str, float]) -> float:
    """Returns sum_i (x_i - 0.7)², without noise."""
    return sum((x - BEST) ** 2 for x in params.values())


def simulate(
    study: optuna.Study,
    durations: Sequence[float],
    noises: Sequence[float],
    *,
    n_workers: int,
    in_batches: bool,
) -> list[Ended]:
    """Returns the trials of a search in the order of their ends.

    Args:
        study: minimises, has no trials yet.
        durations: of each trial, by its number.
        noises: added to each trial's loss.
        n_workers: that take a trial each.
        in_batches: whether trials begin and are told together.
    """
    under_way: list[tuple[float, int, Trial]] = []
    untold: list[tuple[Trial, float]] = []
    ended: list[Ended] = []
    now, n_begun = 0.0, 0
    while len(ended) < len(durations):
        while n_begun < len(durations) and len(under_way) < n_workers:
            trial = study.ask(SETTINGS)
            heapq.heappush(under_way, (now + durations[n_begun], n_begun, trial))
            n_begun += 1
        while under_way:
            now, number, trial = heapq.heappop(under_way)
            ended.append(Ended(now, loss(trial.params)))
            untold.append((trial, ended[-1].loss + noises[number]))
            if not in_batches:
                break
        for trial, value in untold:
            study.tell(trial, value)
        untold.clear()
    return ended


def idle_share(busy: float, span: float, n_workers: int) -> float:
    """Returns the share of the workers' time in which they trained nothing.

    Args:
        busy: time of all trials.
        span: from the first trial's begin to the last one's end.
        n_workers: at work.
    """
    return 1 - busy / (n_workers * span)


def reached(ended: Sequence[Ended], goal: float) -> tuple[float, float]:
    """Returns how many trials had ended, and when, once one was good; infinity for never."""
    for n, one in enumerate(ended, start=1):
        if one.loss <= goal:
            return n, one.at
    return math.inf, math.inf


def row(*, n_workers: int, sigma: float, in_batches: bool, n_repetitions: int) -> list[str]:
    """Returns a row of the table: medians over the repetitions."""
    idle, spans, counts, times = [], [], [], []
    for seed in range(n_repetitions):
        generator = np.random.default_rng(seed)
        durations = generator.lognormal(0.0, sigma, N_TRIALS)
        noises = generator.normal(0.0, NOISE, N_TRIALS)
        study = optuna.create_study(sampler=_sampler(seed))
        ended = simulate(study, durations, noises, n_workers=n_workers, in_batches=in_batches)
        idle.append(idle_share(float(sum(durations)), ended[-1].at, n_workers))
        spans.append(ended[-1].at)
        n, at = reached(ended, GOAL)
        counts.append(n)
        times.append(at)
    n_found = sum(math.isfinite(n) for n in counts)
    return [
        str(n_workers),
        f"{sigma:g}",
        "batches" if in_batches else "one by one",
        f"{100 * statistics.median(idle):.0f} %",
        f"{statistics.median(spans):.1f}",
        f"{statistics.median(counts):g}",
        f"{statistics.median(times):.1f}",
        f"{n_found} of {n_repetitions}",
    ]


def of_search(sweep_dir: Path) -> str:
    """Returns what a search's folder shows of its workers, each of which had a trial at a time.

    A trial trains from its first run's `settings.json` to its last run's end.
    """
    record = read_search(sweep_dir)
    assert record is not None
    spans = [_span([sweep_dir / name for name in trial.folders]) for trial in record.trials]
    begin, end = min(first for first, _ in spans), max(last for _, last in spans)
    n_workers = max(sum(a <= first < b for a, b in spans) for first, _ in spans)
    idle = idle_share(sum(last - first for first, last in spans), end - begin, n_workers)
    return f"{len(spans)} trials in {end - begin:.0f} s: {n_workers} workers, {idle:.0%} idle"


def _span(folders: Sequence[Path]) -> tuple[float, float]:
    ends = [path for folder in folders for path in folder.glob("*.json")]
    times = [path.stat().st_mtime for path in ends]
    return min(times), max(times)


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    config = OmegaConf.create({"_target_": "optuna.samplers.TPESampler"})
    return make_sampler(config, Space.of(dict(SETTINGS), RANKS), seed=seed)


def main() -> None:
    """Prints the table, or what a search's folder shows."""
    parser = argparse.ArgumentParser(prog="python -m bench.asynchronous")
    parser.add_argument("--of", type=Path, metavar="FOLDER", help="of a search")
    parser.add_argument("--repetitions", type=int, default=N_REPETITIONS)
    given = parser.parse_args()
    if given.of is not None:
        print(of_search(given.of))
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = [
        row(n_workers=n, sigma=sigma, in_batches=in_batches, n_repetitions=given.repetitions)
        for n in N_WORKERS
        for sigma in SIGMAS
        for in_batches in (True, False)
    ]
    headers = ["Workers", "σ", "Trials come", "Idle", "Time of all"]
    headers += ["Trials to the goal", "Time to the goal", "Reached"]
    print(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
