"""Simulated searches with workers, worked by hand."""

import math
import os
from pathlib import Path

import optuna
import pytest

from bench.asynchronous import Ended, _span, idle_share, loss, reached, row, simulate

DURATIONS = (3.0, 1.0, 1.0, 1.0)


def _ends(*, in_batches: bool) -> list[float]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    ended = simulate(study, DURATIONS, [0.0] * 4, n_workers=2, in_batches=in_batches)
    assert len(study.trials) == 4
    assert sorted(one.loss for one in ended) == pytest.approx(
        sorted(trial.values[0] for trial in study.trials)
    )
    return [one.at for one in ended]


def test_batch_waits_for_its_slowest_trial() -> None:
    ends = _ends(in_batches=True)
    assert ends == [1, 3, 4, 4]
    assert idle_share(sum(DURATIONS), ends[-1], 2) == pytest.approx(2 / 8)


def test_worker_gets_the_next_trial_when_its_own_has_ended() -> None:
    ends = _ends(in_batches=False)
    assert sorted(ends) == [1, 2, 3, 3]
    assert idle_share(sum(DURATIONS), ends[-1], 2) == 0


@pytest.mark.parametrize("in_batches", [True, False])
def test_next_trial_knows_those_that_were_told(in_batches: bool) -> None:
    """Of a sampler that notes how many trials have ended whenever it is asked."""
    known: list[int] = []

    class Noting(optuna.samplers.RandomSampler):
        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            known.append(sum(one.state.is_finished() for one in study.trials))

    study = optuna.create_study(sampler=Noting(seed=0))
    simulate(study, DURATIONS, [0.0] * 4, n_workers=2, in_batches=in_batches)
    assert known == ([0, 0, 2, 2] if in_batches else [0, 0, 1, 2])


def test_loss_is_the_squared_distance_from_the_best() -> None:
    assert loss({"x0": 0.7, "x1": 0.6, "x2": 0.7, "x3": 0.9}) == pytest.approx(0.01 + 0.04)


def test_goal_is_reached_by_the_first_good_trial() -> None:
    ended = [Ended(1.0, 0.5), Ended(2.5, 0.1), Ended(3.0, 0.0)]
    assert reached(ended, 0.1) == (2, 2.5)
    assert reached(ended, -1.0) == (math.inf, math.inf)


def test_equal_durations_leave_nobody_idle() -> None:
    found = row(n_workers=4, sigma=0.0, in_batches=True, n_repetitions=1)
    assert found[:5] == ["4", "0", "batches", "0 %", "16.0"]  # 64 trials by fours


def test_trial_lasts_from_its_first_settings_to_its_last_end(tmp_path: Path) -> None:
    for folder, name, at in (
        *(("a", "settings.json", 5), ("b", "settings.json", 6)),
        *(("a", "pruned.json", 8), ("b", "result.json", 9)),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
        os.utime(tmp_path / folder / name, (at, at))
    assert _span([tmp_path / "a", tmp_path / "b"]) == (5, 9)
