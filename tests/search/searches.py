"""A small search as a process of its own."""

from collections.abc import Sequence
from pathlib import Path

import optuna
from sweeps import Command

from lora_sweep.search.storage import open_storage, storage_place
from lora_sweep.store.search_record import SearchRecord, read_search

N_TRIALS = 4
OWN: Sequence[str] = (
    "hydra/sweeper=optuna_resumable",
    "hydra/sweeper/sampler=random",
    "hydra.sweeper.sampler.seed=0",
    "hydra.sweeper.n_jobs=1",
    "hydra.sweeper.confirm={n_best: 1, n_seeds: 1}",
    "rank.average=interval(1,4)",
    "lr=tag(log,interval(0.001,0.1))",
)
GRID: Sequence[str] = (
    "hydra/sweeper=optuna_resumable",
    "hydra/sweeper/sampler=grid",
    "hydra.sweeper.n_jobs=1",
    "lr=0.05,0.0000001",
    "learning_rate.head=0.03,0.0000001",
)
STOCK: Sequence[str] = ("hydra/sweeper=optuna", "alpha.max=interval(1,10)", "lr=0.01,0.02")


def search_command(
    folder: Path, settings: Sequence[str], *more: str, own: Sequence[str] = OWN
) -> Command:
    """The search of four trials, one after the other, in a folder of its own."""
    return Command(folder, "-m", *settings, *own, f"hydra.sweeper.n_trials={N_TRIALS}", *more)


def record_of(command: Command) -> SearchRecord:
    """What the search has left."""
    record = read_search(command.sweep_dir)
    assert record is not None
    return record


def study_of(command: Command) -> optuna.Study:
    """The study in the sweep's folder."""
    return stored_study(command.sweep_dir)


def stored_study(sweep_dir: Path) -> optuna.Study:
    """The study in a sweep's folder, named like the folder."""
    storage = open_storage(storage_place(None, sweep_dir))
    return optuna.load_study(study_name=sweep_dir.name, storage=storage)
