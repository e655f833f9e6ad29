"""Replayed searches: the table they stand on, and what they count, worked by hand."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution

from bench.report_scale import fill_record
from bench.search import (
    PRUNERS,
    Replayer,
    pruner_option,
    pruner_rows,
    ranges,
    sampler_option,
    sampler_row,
    trials_to_reach,
)
from bench.search_table import SETTINGS, TABLE, Trained, collect, read_table
from lora_sweep.store.epochs import summary_of
from lora_sweep.store.run_folder import RunFolder

LEVELS = ((4.0, 20.0), (25.0, 50.0), (0.005, 0.05), (0.002, 0.006, 0.018))


def trained(*curves: Sequence[float], n_seeds: int = 1) -> Trained:
    """A table whose settings differ in rank.average alone: 1, 2, ...; all seeds are the same."""
    return Trained(
        {
            (float(rank), 25.0, 0.01, 0.01): np.array([curve] * n_seeds)
            for rank, curve in enumerate(curves, start=1)
        }
    )


@pytest.fixture
def in_turn() -> DictConfig:
    """A sampler that proposes all combinations in turn."""
    return OmegaConf.create({"_target_": "optuna.samplers.GridSampler"})


def grid_of(table: Trained, folder: Path, *, n_jobs: int) -> Replayer:
    """A replayer of searches that propose no real numbers in between, as a grid needs."""
    replayer = Replayer(table, folder, n_jobs=n_jobs)
    replayer.searched |= {name: CategoricalDistribution([0.01]) for name in SETTINGS[2:]}
    return replayer


def test_table_is_collected_from_run_folders(tmp_path: Path) -> None:
    for seed, rank in itertools.product((1, 0), (4, 20)):
        settings = {"rank.average": rank, "rank.max": 25, "lr": 0.01, "seed": seed}
        record = fill_record(
            settings | {"learning_rate.adapter": 0.002}, ["a"], np.full((3, 1), 9.0), rank + seed
        )
        falling = dataclasses.replace(record.epochs[2], metrics={record.metric: 0.25})
        epochs = [*record.epochs[:2], falling]
        own = summary_of(epochs, record.metric)
        record = dataclasses.replace(record, epochs=epochs, **own)
        folder = tmp_path / f"run{rank}-{seed}"
        folder.mkdir()
        RunFolder(folder).finish(record)
    assert collect(tmp_path, tmp_path / "table.csv") == 4
    table = read_table(tmp_path / "table.csv")
    assert (table.n_seeds, table.n_epochs, len(table.curves)) == (2, 3, 2)
    # fill_record: 0.5 + 0.001 i, and 0.15 more an epoch; the last one, worse, does not count.
    expected = [[0.504, 0.654, 0.654], [0.505, 0.655, 0.655]]
    assert table.curves[(4, 25, 0.01, 0.002)] == pytest.approx(np.array(expected))
    assert table.value((4, 25, 0.01, 0.002)) == pytest.approx(0.6545)
    assert table.best() == pytest.approx(0.6705)


def test_table_that_lacks_a_run_is_refused(tmp_path: Path) -> None:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    (tmp_path / "table.csv").write_text("\n".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match="must hold the same seeds and epochs"):
        read_table(tmp_path / "table.csv")


def test_committed_table_is_36_settings_of_3_seeds() -> None:
    table = read_table()
    assert (len(table.curves), table.n_seeds, table.n_epochs) == (36, 3, 4)
    values = np.stack(list(table.curves.values()))
    assert (np.abs(values) <= 1).all() and (np.diff(values, axis=-1) >= 0).all()


def test_proposed_settings_go_by_the_nearest_ratio() -> None:
    table = Trained({key: np.zeros((1, 1)) for key in itertools.product(*LEVELS)})
    proposed = {"rank.average": 20, "rank.max": 25, "lr": 0.0157, "learning_rate.adapter": 0.0035}
    assert table.nearest(proposed) == (20, 25, 0.005, 0.006)  # sqrt: 0.0158, 0.00346
    assert table.nearest(proposed | {"lr": 0.0159, "learning_rate.adapter": 0.0034}) == (
        *(20, 25, 0.05, 0.002),
    )


def test_ranges_give_each_level_its_share() -> None:
    table = Trained({key: np.zeros((1, 1)) for key in itertools.product(*LEVELS)})
    low, high = (getattr(ranges(table)[SETTINGS[3]], end) for end in ("low", "high"))
    borders = [low, math.sqrt(0.002 * 0.006), math.sqrt(0.006 * 0.018), high]
    shares = np.diff(np.log(borders))
    assert shares == pytest.approx([math.log(3)] * 3)
    assert ranges(table)["rank.average"].step == 16


@pytest.mark.parametrize(
    ("values", "n"), [([0.5], 1), ([0.1, 0.48, 0.5], 3), ([-math.inf, 0.1], None), ([], None)]
)
def test_goal_is_reached_after_so_many_trials(values: list[float], n: int | None) -> None:
    assert trials_to_reach(values, 0.5) == n


def test_search_without_pruner_trains_all_epochs(in_turn: DictConfig, tmp_path: Path) -> None:
    table = trained((0.1, 0.2), (0.3, 0.4), (0.2, 0.6), n_seeds=2)
    replayer = grid_of(table, tmp_path, n_jobs=2)
    done = replayer.replay(in_turn, pruner_option("none"), seed=0, n_trials=3)
    assert done.values(table) == [0.2, 0.4, 0.6]
    assert done.n_run_epochs == 3 * 2 * 2


def test_pruned_trial_frees_its_other_epochs(in_turn: DictConfig, tmp_path: Path) -> None:
    """Best first: the second is worse than the first after an epoch, the third after two."""
    table = trained((0.5, 0.6, 0.7), (0.4, 0.9, 0.9), (0.5, 0.5, 0.8), n_seeds=2)
    replayer = grid_of(table, tmp_path, n_jobs=1)
    pruner = dataclasses.replace(pruner_option("median"), n_startup_trials=1)
    done = replayer.replay(in_turn, pruner, seed=0, n_trials=3)
    assert done.finished == [True, False, False]
    assert done.values(table) == [0.7, -math.inf, -math.inf]
    assert done.n_run_epochs == 2 * (3 + 1 + 2)


def test_search_ends_once_the_goal_is_reached(in_turn: DictConfig, tmp_path: Path) -> None:
    table = trained((0.1,), (0.5,), (0.1,), (0.1,), (0.1,))
    replayer = grid_of(table, tmp_path, n_jobs=3)
    done = replayer.replay(in_turn, pruner_option("none"), seed=0, n_trials=5, goal=0.5)
    assert len(done.keys) == 3


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_table_of_equal_settings_is_through_at_once(sampler: str, tmp_path: Path) -> None:
    table = Trained({key: np.full((2, 2), 0.4) for key in itertools.product(*LEVELS)})
    row = sampler_row(Replayer(table, tmp_path, n_jobs=1), sampler, n_repetitions=2)
    assert row == [sampler, "1", "1", "1 1"]


def test_repetitions_propose_different_settings(tmp_path: Path) -> None:
    table = Trained({key: np.full((1, 1), 0.4) for key in itertools.product(*LEVELS)})
    replayer, option = Replayer(table, tmp_path, n_jobs=4), sampler_option("tpe")
    found = [
        tuple(replayer.replay(option, pruner_option("none"), seed=seed, n_trials=12).keys)
        for seed in (0, 1, 0)
    ]
    assert found[0] == found[2] != found[1]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_pruner_takes_nothing_from_equal_settings(tmp_path: Path) -> None:
    table = Trained({key: np.full((2, 3), 0.4) for key in itertools.product(*LEVELS)})
    rows = pruner_rows(Replayer(table, tmp_path, n_jobs=4), "random", n_repetitions=2)
    assert [row[0] for row in rows] == list(PRUNERS)
    assert rows[0][1:] == ["random", "0.0 (0.0 to 0.0)", "2 of 2", "0.0 (0.0 to 0.0)"]
