"""Which trials end early, asked as workers ask: each with a copy of the policy of its own."""

import pickle
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.trial import TrialState

from lora_sweep.config.schema import PRUNER_SETTINGS, PrunerConfig
from lora_sweep.errors import SettingError
from lora_sweep.search.pruning import PRUNED_EPOCH, OptunaStopPolicy, make_pruner
from lora_sweep.search.storage import open_storage


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    storage = open_storage(str(tmp_path / "study.journal"))
    return optuna.create_study(study_name="s", storage=storage, direction="maximize")


@pytest.fixture
def policy(study: optuna.Study, tmp_path: Path) -> OptunaStopPolicy:
    """Successive halving of trials of one run: a half goes on to two epochs, then to four."""
    config = PrunerConfig("successive_halving", min_epochs=1, reduction_factor=2)
    place = str(tmp_path / "study.journal")
    return OptunaStopPolicy(place, "s", make_pruner(config, n_epochs=8), n_seeds=1)


@pytest.mark.filterwarnings("ignore:WilcoxonPruner is experimental")
@pytest.mark.parametrize("name", PRUNER_SETTINGS)
def test_each_pruner_takes_its_own_settings_alone(name: str) -> None:
    values: dict[str, Any] = {
        "n_startup_trials": 3,
        "n_warmup_epochs": 1,
        "min_epochs": 2,
        "reduction_factor": 4,
        "p_threshold": 0.2,
    }
    own = {setting: values.pop(setting) for setting in PRUNER_SETTINGS[name]}
    assert isinstance(make_pruner(PrunerConfig(name, **own), n_epochs=8), BasePruner)  # type: ignore[arg-type]
    for other, value in values.items():
        rule = f"pruner.{other} must be null with pruner={name}, but got {value}"
        with pytest.raises(SettingError, match=rule):
            PrunerConfig(name, **{other: value})  # type: ignore[arg-type]


def _ends(policy: OptunaStopPolicy, number: int, epoch: int, metric: float) -> bool:
    """What a worker is told of the run of a trial."""
    sent: OptunaStopPolicy = pickle.loads(pickle.dumps(policy))
    return list(sent.stopped(epoch, {f"run{number}": metric})) == [f"run{number}"]


def test_halving_cuts_by_what_other_workers_have_reported(
    study: optuna.Study, policy: OptunaStopPolicy
) -> None:
    for _ in range(5):
        trial = study.ask()
        policy.add(trial.number, [f"run{trial.number}"])
    assert not _ends(policy, 0, 1, 0.5)  # the first of its rung
    assert _ends(policy, 1, 1, 0.4)  # one of two goes on: the best
    assert not _ends(policy, 2, 1, 0.6)  # one of three: the best
    assert not _ends(policy, 3, 1, 0.55)  # two of four: it is the second
    assert _ends(policy, 4, 1, 0.45)  # two of five: 0.6 and 0.55
    assert not _ends(policy, 2, 2, 0.6)  # the first at two epochs
    assert _ends(policy, 0, 2, 0.5)  # one of two: 0.6
    assert study.trials[4].user_attrs[PRUNED_EPOCH] == 1


def test_halving_cuts_between_its_rungs_nothing(
    study: optuna.Study, policy: OptunaStopPolicy
) -> None:
    for number in range(2):
        study.ask()
        policy.add(number, [f"run{number}"])
        assert not _ends(policy, number, 1, 0.5)
        assert not _ends(policy, number, 2, 0.5)
    assert not _ends(policy, 0, 3, 0.5)
    assert not _ends(policy, 1, 3, 0.1)


def _seeds(number: int, *metrics: float) -> dict[str, float]:
    """The metrics of a trial's first runs."""
    return {f"run{number}-{seed}": metric for seed, metric in enumerate(metrics)}


def test_trial_is_judged_by_all_its_seeds_or_not_at_all(
    study: optuna.Study, policy: OptunaStopPolicy
) -> None:
    policy.n_seeds = 2
    for number in range(3):
        study.ask()
        policy.add(number, list(_seeds(number, 0, 0)))
    assert policy.stopped(1, _seeds(0, 0.4, 0.6)) == []  # the first: its median is 0.5
    assert policy.stopped(1, _seeds(1, 0.1)) == []  # one of its two seeds, the worst so far
    assert study.trials[1].intermediate_values == {}
    assert policy.stopped(1, _seeds(1, 0.25, 0.5)) == ["run1-0", "run1-1"]  # 0.375 is below 0.5
    assert [trial.intermediate_values for trial in study.trials] == [{1: 0.5}, {1: 0.375}, {}]
    assert policy.stopped(2, _seeds(1, 0.9)) == ["run1-0"]  # killed before both had ended


def test_trial_that_was_to_end_before_a_kill_ends(
    study: optuna.Study, policy: OptunaStopPolicy
) -> None:
    for number in range(2):
        study.ask()
        policy.add(number, [f"run{number}"])
    assert not _ends(policy, 0, 1, 0.5)
    assert _ends(policy, 1, 1, 0.4)
    assert _ends(policy, 1, 2, 0.9)  # it went on for an epoch


def test_run_goes_by_the_first_of_the_trials_under_way(policy: OptunaStopPolicy) -> None:
    policy.add(3, ["a", "b"])
    policy.add(5, ["b", "c"])
    assert policy.runs == {"a": (3, 0), "b": (3, 1), "c": (5, 1)}
    policy.drop(3)
    assert policy.runs == {"c": (5, 1)}


def test_run_of_no_trial_under_way_goes_on(study: optuna.Study, policy: OptunaStopPolicy) -> None:
    study.ask()
    assert not _ends(policy, 0, 1, 0.0)
    assert study.trials[0].state is TrialState.RUNNING
    assert study.trials[0].intermediate_values == {}
