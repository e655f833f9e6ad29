"""Searches whose trials end one by one, in any order; nothing is trained here."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from lora_sweep.errors import SweepFailedError, TrainingFailedError
from lora_sweep.interrupt import StoppedError
from lora_sweep.search.samplers import make_sampler
from lora_sweep.search.space import Space
from lora_sweep.store.search_record import SearchRecord, read_search

from .conftest import FakeLauncher, FakeWorkers

Searching = Callable[..., FakeLauncher]
SIX, TWO_AT_ONCE = "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2"
TPE = ("hydra/sweeper/sampler=tpe", "hydra.sweeper.sampler.n_startup_trials=2")


def found(folder: Path) -> SearchRecord:
    record = read_search(folder)
    assert record is not None
    return record


def test_trial_is_told_and_the_next_begun_while_another_trains(
    search: Searching, tmp_path: Path
) -> None:
    workers = FakeWorkers(1)
    search("hydra.sweeper.n_trials=4", TWO_AT_ONCE, workers=workers)
    begun_and_ended = "begin 0, begin 1, end 1, begin 2, end 2, begin 3, end 3, end 0"
    assert ", ".join(workers.events) == begun_and_ended
    trials = found(tmp_path / "s").trials
    assert [trial.status for trial in trials] == ["finished"] * 4
    assert len({trial.values for trial in trials}) == 4


def test_each_worker_gets_its_trials_together(search: Searching) -> None:
    workers = FakeWorkers(2)
    search(SIX, "hydra.sweeper.n_jobs=5", workers=workers)
    begun = "begin 0, begin 1, begin 2, begin 3, end 2, end 3, begin 4, begin 5, end 4, end 5"
    assert ", ".join(workers.events) == f"{begun}, end 0, end 1"


def test_one_worker_has_the_trials_of_one_process(search: Searching, tmp_path: Path) -> None:
    search(*TPE, SIX, TWO_AT_ONCE, sweep="one_process")
    search(*TPE, SIX, TWO_AT_ONCE, sweep="one_worker", workers=FakeWorkers(2))
    params = [
        [t.params for t in found(tmp_path / n).trials] for n in ("one_process", "one_worker")
    ]
    assert params[0] == params[1]


def test_stopped_search_goes_on_with_the_trials_under_way(
    search: Searching, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        search(SIX, TWO_AT_ONCE, ends={3: StoppedError(15, "stopped")}, workers=FakeWorkers(1))
    before = found(tmp_path / "s").trials
    assert [trial.status for trial in before] == ["running", "finished", "finished", "running"]
    workers = FakeWorkers(1)
    search(SIX, TWO_AT_ONCE, workers=workers)
    assert workers.events[:3] == ["begin 0", "begin 3", "end 3"]
    after = found(tmp_path / "s").trials
    assert [trial.status for trial in after] == ["finished"] * 6
    assert [t.folders for t in after[:4]] == [t.folders for t in before]


def test_too_many_failures_end_the_search_while_others_train(search: Searching) -> None:
    workers = FakeWorkers(1)
    ends = {number: TrainingFailedError("no luck") for number in (1, 2)}
    with pytest.raises(SweepFailedError, match="2 trials of the search failed"):
        search(SIX, TWO_AT_ONCE, "hydra.sweeper.max_failures=1", ends=ends, workers=workers)
    assert workers.events[-1] == "end 2" and "end 0" not in workers.events


@pytest.mark.parametrize("name", ["TPESampler", "GPSampler"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_running_trials_reach_the_sampler(name: str) -> None:
    """Failed ones tell it nothing, and leave the next trial the same number."""
    config = OmegaConf.create({"_target_": f"optuna.samplers.{name}", "n_startup_trials": 2})
    searched = {"lr": FloatDistribution(0.0, 1.0)}

    def next_after(*, are_running: bool) -> float:
        study = optuna.create_study(direction="maximize")
        for lr in (0.0, 0.3, 0.6, 0.9):
            study.enqueue_trial({"lr": lr})
            study.tell(study.ask(searched), -((lr - 0.6) ** 2))
        for _ in range(3):
            study.enqueue_trial({"lr": 0.6})
            trial = study.ask(searched)
            if not are_running:
                study.tell(trial, state=TrialState.FAIL)
        ranks = {"rank.min": 1, "rank.average": 2, "rank.max": 3}
        study.sampler = make_sampler(config, Space.of(searched, ranks), seed=0)
        return float(study.ask(searched).params["lr"])

    assert next_after(are_running=True) != next_after(are_running=False)
