"""How soon samplers find a good setting, and what pruners save: replayed on trained runs.

    python -m lora_sweep --multirun sweep=search_table     # 108 runs, half an hour on two cores
    python -m bench.search --collect outputs/search_table  # writes bench/search_table.csv
    python -m bench.search                                 # the tables of docs/search.md

A trial of a replayed search trains nothing: it takes the epochs of the trained runs whose
settings are nearest to the proposed ones. Samplers, pruners and their defaults are the search's.
"""

import argparse
import math
import statistics
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import optuna
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from optuna.trial import Trial, TrialState
from tabulate import tabulate

from bench.search_table import SETTINGS, TABLE, Key, Trained, collect, read_table
from lora_sweep.config.schema import PrunerConfig
from lora_sweep.config.store import CONF
from lora_sweep.plugins import register as register_plugins
from lora_sweep.search.pruning import OptunaStopPolicy, make_pruner
from lora_sweep.search.samplers import make_sampler
from lora_sweep.search.space import Space
from lora_sweep.search.storage import open_storage

SAMPLERS = ("random", "tpe", "gp")
BATCHES = (1, 4)
"""Trials at a time: one after the other, and the sweeper's default."""
PRUNERS = ("median", "successive_halving", "hyperband", "wilcoxon")
N_REPETITIONS = 10
MARGIN = 0.01
"""One point of the metric."""
MOST_TRIALS = 120
N_TRIALS = 24
"""Of a search with a pruner: the preset's."""


@dataclass
class Replay:
    """What a replayed search did.

    Attributes:
        keys: the trained setting behind each trial, in order.
        finished: whether the trial ran through.
        n_run_epochs: epochs trained, over all runs of all trials.
    """

    keys: list[Key] = field(default_factory=list)
    finished: list[bool] = field(default_factory=list)
    n_run_epochs: int = 0

    def values(self, trained: Trained) -> list[float]:
        """Returns each trial's value; -inf for a pruned one."""
        pairs = zip(self.keys, self.finished, strict=True)
        return [trained.value(key) if is_there else -math.inf for key, is_there in pairs]

    def best(self, trained: Trained) -> float:
        """Returns the highest value; -inf before a trial is finished."""
        return max(self.values(trained), default=-math.inf)


class Replayer:
    """Replays searches on a table; each has a study of its own in the folder."""

    def __init__(self, trained: Trained, folder: Path, *, n_jobs: int) -> None:
        """Takes the table, a folder, and how many trials come as one batch."""
        self.trained, self.folder, self.n_jobs = trained, folder, n_jobs
        self.searched = ranges(trained)

    def replay(
        self,
        sampler: DictConfig,
        pruner: PrunerConfig,
        *,
        seed: int,
        n_trials: int,
        goal: float = math.inf,
    ) -> Replay:
        """Returns what a search does.

        Args:
            sampler: an option of `hydra/sweeper/sampler`.
            pruner: an option of `pruner`.
            seed: of the search.
            n_trials: in all.
            goal: the search ends after the batch in which a trial reaches it.
        """
        place = str(self.folder / f"{len(list(self.folder.glob('*.journal')))}.journal")
        space = Space.of(self.searched, {"rank.min": 1})
        # Hyperband's brackets go by the study's name: another one in each repetition.
        study = optuna.create_study(
            study_name=f"replay {seed}",
            storage=open_storage(place),
            direction="maximize",
            sampler=make_sampler(sampler, space, seed=seed),
            pruner=make_pruner(pruner, n_epochs=self.trained.n_epochs),
        )
        done = Replay()
        while len(done.keys) < n_trials and done.best(self.trained) < goal:
            n_next = min(self.n_jobs, n_trials - len(done.keys))
            trials = [study.ask(space.distributions) for _ in range(n_next)]
            self._batch(study, trials, place, done)
        return done

    def _batch(
        self, study: optuna.Study, trials: Sequence[Trial], place: str, done: Replay
    ) -> None:
        """Trains the trials' runs together, epoch by epoch, as a pack does."""
        runs = {
            f"{trial.number}-{seed}": (trial.number, seed)
            for trial in trials
            for seed in range(self.trained.n_seeds)
        }
        keys = {trial.number: self.trained.nearest(trial.params) for trial in trials}
        is_pruning = not isinstance(study.pruner, NopPruner)
        stop_policy = OptunaStopPolicy(
            place, study.study_name, study.pruner, self.trained.n_seeds, runs
        )
        left = dict(runs)
        for epoch in range(1, self.trained.n_epochs + 1):
            done.n_run_epochs += len(left)
            if is_pruning and left and epoch < self.trained.n_epochs:
                metrics = {
                    name: float(self.trained.curves[keys[number]][seed, epoch - 1])
                    for name, (number, seed) in left.items()
                }
                for name in stop_policy.stopped(epoch, metrics):
                    del left[name]
        still = {number for number, _ in left.values()}
        for trial in trials:
            is_there = trial.number in still
            done.keys.append(keys[trial.number])
            done.finished.append(is_there)
            if is_there:
                study.tell(trial, self.trained.value(keys[trial.number]))
            else:
                study.tell(trial, state=TrialState.PRUNED)


def ranges(trained: Trained) -> dict[str, BaseDistribution]:
    """Returns what is searched: integers in steps, real numbers between, on a logarithmic scale.

    A real setting's range goes half a step beyond its outer levels, so that chance meets each
    level equally often.
    """
    searched: dict[str, BaseDistribution] = {}
    for place, name in enumerate(SETTINGS):
        levels = trained.levels(place)
        if name.startswith("rank."):
            low, high = int(levels[0]), int(levels[-1])
            step = (high - low) // max(1, len(levels) - 1) or 1
            searched[name] = IntDistribution(low, high, step=step)
        else:
            half = (levels[-1] / levels[0]) ** (0.5 / max(1, len(levels) - 1))
            searched[name] = FloatDistribution(levels[0] / half, levels[-1] * half, log=True)
    return searched


def trials_to_reach(values: Sequence[float], goal: float) -> int | None:
    """Returns after how many trials one has the goal or more; None if none has."""
    return next((n for n, value in enumerate(values, start=1) if value >= goal), None)


@cache
def sampler_option(name: str) -> DictConfig:
    """Returns an option of `hydra/sweeper/sampler` as a search gets it."""
    own = ["hydra/sweeper=optuna_resumable", f"hydra/sweeper/sampler={name}"]
    register_plugins()
    with initialize_config_dir(CONF):
        config = compose("config", own, return_hydra_config=True)
    assert isinstance(config.hydra.sweeper.sampler, DictConfig)
    return config.hydra.sweeper.sampler


@cache
def pruner_option(name: str) -> PrunerConfig:
    """Returns an option of `pruner`."""
    with initialize_config_dir(CONF):
        return PrunerConfig(**compose("config", [f"pruner={name}"]).pruner)


def sampler_row(replayer: Replayer, sampler: str, n_repetitions: int) -> list[str]:
    """Returns a row: trials until one is within a point of the best, over the repetitions."""
    option, none = sampler_option(sampler), pruner_option("none")
    goal = replayer.trained.best() - MARGIN
    needed = []
    for seed in range(n_repetitions):
        done = replayer.replay(option, none, seed=seed, n_trials=MOST_TRIALS, goal=goal)
        needed.append(trials_to_reach(done.values(replayer.trained), goal) or math.inf)
    each = " ".join(_count(n) for n in sorted(needed))
    return [sampler, str(replayer.n_jobs), _count(statistics.median(needed)), each]


def pruner_rows(replayer: Replayer, sampler: str, n_repetitions: int) -> list[list[str]]:
    """Returns a row a pruner: the share of run-steps saved, and how much worse the best trial is.

    With and without it the trials are the same by chance, and by TPE as long as none is pruned.
    """

    def replays(pruner: str) -> list[Replay]:
        option = pruner_option(pruner)
        return [
            replayer.replay(sampler_option(sampler), option, seed=seed, n_trials=N_TRIALS)
            for seed in range(n_repetitions)
        ]

    trained, without = replayer.trained, replays("none")
    rows = []
    for pruner in PRUNERS:
        pairs = list(zip(replays(pruner), without, strict=True))
        saved = [1 - own.n_run_epochs / full.n_run_epochs for own, full in pairs]
        lost = [full.best(trained) - own.best(trained) for own, full in pairs]
        n_kept = sum(loss <= MARGIN for loss in lost)
        kept = f"{n_kept} of {n_repetitions}"
        rows.append([pruner, sampler, _range(saved), kept, _range(lost)])
    return rows


def main() -> None:
    """Collects the table, or replays searches on it and prints what came out."""
    parser = argparse.ArgumentParser(prog="python -m bench.search")
    parser.add_argument("--collect", type=Path, metavar="FOLDER", help="of the trained sweep")
    parser.add_argument("--repetitions", type=int, default=N_REPETITIONS)
    given = parser.parse_args()
    if given.collect is not None:
        print(f"{collect(given.collect)} runs in {TABLE}")
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    trained, n = read_table(), given.repetitions
    values = sorted(map(trained.value, trained.curves), reverse=True)
    n_good = sum(value >= values[0] - MARGIN for value in values)
    print(
        f"{len(values)} settings, {trained.n_seeds} seeds, {trained.n_epochs} epochs: the best "
        f"has {100 * values[0]:.2f}, {n_good} have at most a point less, the median one has "
        f"{100 * statistics.median(values):.2f}"
    )
    with tempfile.TemporaryDirectory() as place:
        batches = [Replayer(trained, Path(place), n_jobs=n_jobs) for n_jobs in BATCHES]
        rows = [sampler_row(one, name, n) for one in batches for name in SAMPLERS]
        _show(["Sampler", "Batch", "Trials, median", "Trials of each repetition"], rows)
        rows = [row for name in ("random", "tpe") for row in pruner_rows(batches[-1], name, n)]
        headers = ["Pruner", "Sampler", "Run-steps saved, %", "≤ 1 point lost", "Points lost"]
        _show(headers, rows)


def _show(headers: list[str], rows: list[list[str]]) -> None:
    table = tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)
    print(f"\n{table}", flush=True)


def _range(shares: Sequence[float]) -> str:
    """Median, least and most in percent."""
    found = (statistics.median(shares), min(shares), max(shares))
    middle, least, most = (f"{100 * share:z.1f}" for share in found)
    return f"{middle} ({least} to {most})"


def _count(n: float) -> str:
    return f"> {MOST_TRIALS}" if math.isinf(n) else f"{n:g}"


if __name__ == "__main__":
    main()
