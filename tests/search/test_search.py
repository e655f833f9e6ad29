"""What a search asks for, goes on with, tells Optuna and leaves; nothing is trained here."""

import json
import logging
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from omegaconf import OmegaConf

from lora_sweep.errors import PrunedError, SettingError, SweepFailedError, TrainingFailedError
from lora_sweep.execution import execute
from lora_sweep.interrupt import StoppedError
from lora_sweep.search.storage import storage_place
from lora_sweep.store.search_record import SearchRecord, read_search
from lora_sweep.store.sweep_list import read_asked, read_sweep

from .conftest import SQLITE, FakeLauncher, metric_of
from .searches import stored_study

Searching = Callable[..., FakeLauncher]
FOUR, THREE_AT_ONCE = "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=3"
SAMPLERS = ("tpe", "gp", "random", "qmc", "nsgaii")


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], SearchRecord]:
    """The record of the search in `tmp_path/s`."""

    def read() -> SearchRecord:
        record = read_search(tmp_path / "s")
        assert record is not None
        return record

    return read


Found = Callable[[], SearchRecord]


def stopped() -> StoppedError:
    return StoppedError(15, "stopped")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sampler_proposes_possible_settings(sampler: str, search: Searching, found: Found) -> None:
    search(f"hydra/sweeper/sampler={sampler}", FOUR, "hydra.sweeper.n_jobs=1")
    trials = found().trials
    assert [trial.status for trial in trials] == ["finished"] * 4
    for trial in trials:
        least, average, most = (trial.params[f"rank.{n}"] for n in ("min", "average", "max"))
        assert 1 <= least <= average <= most <= 30  # type: ignore[operator]
        assert all(isinstance(rank, int) for rank in (least, average, most))
    assert len({tuple(trial.params.values()) for trial in trials}) == 4


def test_grid_tries_possible_combinations_once(search: Searching, found: Found) -> None:
    space = ("rank.average=8,22", "rank.max=10,25", "lr=0.01,0.02")
    launcher = search("hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=50", space=space)
    ranks = [(8, 10), (8, 25), (22, 25)]
    params = [tuple(trial.params.values()) for trial in found().trials]
    assert params == [(*pair, lr) for pair in ranks for lr in (0.01, 0.02)]
    assert [number for number, _ in launcher.launched] == list(range(6))


def test_trial_is_the_median_of_its_seeds(search: Searching, found: Found) -> None:
    search("n_seeds=3", "seed=4", "hydra.sweeper.n_trials=1")
    (trial,) = found().trials
    assert trial.seeds == (4, 5, 6)
    assert trial.values == (statistics.median(m for m in trial.metrics if m is not None),)
    assert len(set(trial.folders)) == len(set(trial.metrics)) == 3


def test_jobs_are_numbered_as_their_trials(search: Searching, found: Found) -> None:
    launcher = search(FOUR, THREE_AT_ONCE)
    assert [number for number, _ in launcher.launched] == [0, 1, 2, 3]
    rates = [str(trial.params["lr"]) for trial in found().trials]
    assert launcher.values("lr") == rates


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_search_in_two_commands_goes_on(
    sampler: str, search: Searching, found: Found, tmp_path: Path
) -> None:
    own = (f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_jobs=2")
    search(*own, "hydra.sweeper.n_trials=2")
    second = search(*own, FOUR)
    assert [number for number, _ in second.launched] == [2, 3]
    in_two = [trial.params for trial in found().trials]
    (tmp_path / "s").rename(tmp_path / "in_two")
    search(*own, FOUR)
    assert [trial.params for trial in found().trials] == in_two
    assert len({tuple(params.values()) for params in in_two}) == 4


def test_finished_search_trains_nothing(
    search: Searching, found: Found, caplog: pytest.LogCaptureFixture
) -> None:
    own = ("hydra.sweeper.n_trials=2", "hydra.sweeper.confirm.n_best=1")
    assert len(search(*own).trained) == 2 + 5
    before = found()
    with caplog.at_level(logging.INFO):
        again = search(*own)
    assert (again.launched, again.trained) == ([], [])
    assert "all 2 trials are there" in caplog.text
    assert found() == before


def test_interrupted_trials_keep_number_settings_and_folders(
    search: Searching, found: Found
) -> None:
    own, launchers = (FOUR, "hydra.sweeper.n_jobs=2", SQLITE), list[FakeLauncher]()
    with pytest.raises(StoppedError, match="stopped"):
        search(*own, ends={2: stopped()}, launchers=launchers)
    before = found()
    assert [trial.status for trial in before.trials] == ["finished"] * 2 + ["running"] * 2
    again = search(*own)
    assert again.launched == launchers[0].launched[2:]
    assert [t.folders for t in found().trials] == [t.folders for t in before.trials]


def test_trials_with_the_same_settings_are_trained_once(search: Searching, found: Found) -> None:
    launcher = search(FOUR, "hydra.sweeper.n_jobs=2", space=("rank.average=20,21",))
    trials = found().trials
    assert len(launcher.trained) == len({trial.folders for trial in trials}) <= 2
    assert len({trial.values for trial in trials}) == len({trial.folders for trial in trials})


def test_search_is_over_after_the_second_look(
    search: Searching, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch, over = FakeLauncher.launch, list[bool]()

    def noting(self: FakeLauncher, jobs: Any, first: int) -> Any:
        over.append(found().is_over)
        return launch(self, jobs, first)

    monkeypatch.setattr(FakeLauncher, "launch", noting)
    for n_trials in (2, 3):
        search(
            f"hydra.sweeper.n_trials={n_trials}", "hydra.sweeper.confirm={n_best: 1, n_seeds: 2}"
        )
        assert found().is_over
    assert not any(over) and len(over) >= 3


def test_search_that_is_stopped_is_not_over_and_one_without_a_result_is(
    search: Searching, found: Found
) -> None:
    with pytest.raises(StoppedError, match="stopped"):
        search("hydra.sweeper.n_trials=2", ends={0: stopped()})
    assert not found().is_over
    with pytest.raises(SweepFailedError, match="no trial of the search finished"):
        failed = TrainingFailedError("loss became nan")
        search("hydra.sweeper.n_trials=2", ends={0: failed, 1: failed})
    assert found().is_over


def test_failed_and_pruned_trials_are_told_as_such(
    search: Searching, found: Found, tmp_path: Path
) -> None:
    ends = {0: TrainingFailedError("loss became nan\nmore"), 2: PrunedError("pruned")}
    search(FOUR, SQLITE, ends=ends)
    trials = found().trials
    assert [t.status for t in trials] == ["failed", "finished", "pruned", "finished"]
    assert (trials[0].error, trials[2].error) == ("loss became nan", None)
    study = stored_study(tmp_path / "s")
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE", "PRUNED", "COMPLETE"]


def test_too_many_failures_end_the_search_for_good(search: Searching) -> None:
    ends = {number: TrainingFailedError("no luck") for number in (0, 3)}
    own = ("hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=2", "hydra.sweeper.max_failures=1")
    match = r"2 trials of the search failed, hydra.sweeper.max_failures=1\nfirst: trial 0: no luck"
    with pytest.raises(SweepFailedError, match=match):
        search(*own, ends=ends)
    launchers: list[FakeLauncher] = []
    with pytest.raises(SweepFailedError, match=match):
        search(*own, launchers=launchers)
    assert launchers[0].launched == []
    assert len(search(*own[:2], "hydra.sweeper.max_failures=2").launched) == 4


def test_search_without_a_finished_trial_says_so(search: Searching) -> None:
    ends = {0: TrainingFailedError("no luck"), 1: PrunedError("pruned")}
    with pytest.raises(
        SweepFailedError, match=r"no trial .* finished: 1 failed.*\nfirst: trial 0"
    ):
        search("hydra.sweeper.n_trials=2", ends=ends)


def test_results_name_trial_folders_seeds_and_values(
    search: Searching, found: Found, tmp_path: Path
) -> None:
    search(FOUR, "n_seeds=2", "hydra.sweeper.confirm={n_best: 1, n_seeds: 2}")
    results = OmegaConf.load(tmp_path / "s" / "optimization_results.yaml")
    best = max(found().trials, key=lambda trial: trial.values or ())
    assert results.best_trial.trial == results.confirmed[0].trial == best.number
    assert tuple(results.best_trial.folders) == best.folders
    assert list(results.best_trial.seeds) == [0, 1] and list(results.confirmed[0].seeds) == [2, 3]
    assert results.best_value == results.best_trial["values"][0] == (best.values or (0,))[0]
    assert results.best_params == results.best_trial.params == best.params
    for folder in results.confirmed[0].folders:
        assert (tmp_path / "s" / folder / "result.json").exists()


def test_best_trials_are_confirmed_on_fresh_seeds(search: Searching, found: Found) -> None:
    own = ("hydra.sweeper.confirm.n_best=2", "hydra.sweeper.confirm.n_seeds=3")
    launcher = search(FOUR, "n_seeds=2", *own)
    ranked = sorted(found().trials, key=lambda trial: trial.values or (), reverse=True)
    confirmed = found().confirmed
    assert [one.number for one in confirmed] == [trial.number for trial in ranked[:2]]
    assert {one.seeds for one in confirmed} == {(2, 3, 4)}
    assert [number for number, _ in launcher.launched] == list(range(6))
    for one, trial in zip(confirmed, ranked, strict=False):
        settings = {"lr": trial.params["lr"], "rank.average": trial.params["rank.average"]}
        assert one.metrics == tuple(metric_of({**settings, "seed": seed}) for seed in one.seeds)


def test_pareto_search_has_two_objectives(search: Searching, found: Found, tmp_path: Path) -> None:
    own = ("hydra.sweeper.direction=[maximize,minimize]", "hydra.sweeper.n_trials=6")
    search(*own, "hydra.sweeper.confirm={n_best: 2, n_seeds: 1}")
    record = found()
    assert record.objectives == ("accuracy", "trained_params")
    for trial in record.trials:
        average = trial.params["rank.average"]
        assert trial.values is not None
        assert trial.values[1] == 8 * average**2 + 8  # type: ignore[operator]
    front = {
        t.number
        for t in record.trials
        if not any(_dominates(o.values, t.values) for o in record.trials)
    }
    results = OmegaConf.load(tmp_path / "s" / "optimization_results.yaml")
    assert {one.trial for one in results.solutions} == front
    assert {one.number for one in record.confirmed} <= front


def _dominates(one: Any, other: Any) -> bool:
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def test_record_holds_importances_or_why_not(search: Searching, found: Found) -> None:
    search("hydra.sweeper.n_trials=1")
    assert found().importances is None
    assert found().importances_note == "fewer than two different settings are finished"
    search("hydra.sweeper.n_trials=8")
    shares = found().importances
    assert shares is not None and set(shares) == {"rank.min", "rank.max", "rank.average", "lr"}
    assert sum(shares.values()) == pytest.approx(1)


def test_real_setting_is_searched_between_integers(search: Searching, found: Found) -> None:
    search(FOUR, "init=uniform,randn", space=("alpha.max=interval(1,10)",))
    values = [trial.params["alpha.max"] for trial in found().trials]
    assert all(isinstance(value, float) and 1 <= value <= 10 for value in values)
    assert any(value != int(value) for value in values)
    assert {trial.params["init"] for trial in found().trials} <= {"uniform", "randn"}


def test_last_of_two_ranges_holds(search: Searching, found: Found) -> None:
    search("hydra.sweeper.n_trials=2", "lr=0.5")
    assert all("lr" not in trial.params for trial in found().trials)
    assert all("lr0.5" in trial.folders[0] for trial in found().trials)


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["hydra.sweeper.n_trials=0"], r"n_trials must be an integer of at least 1, but got 0"),
        (["hydra.sweeper.n_jobs=many"], r"n_jobs must be an integer of at least 1"),
        (["hydra.sweeper.max_failures=-1"], r"max_failures must be an integer of at least 0"),
        (["hydra.sweeper.direction=up"], r"direction must be one or two of maximize, minimize"),
        (["hydra.sweeper.storage=study.xml"], r"storage must be null, journal, a path"),
        (["hydra.sweeper.storage=nosql://x"], r"storage must be reachable, but got nosql://x"),
        (
            ["hydra/sweeper/sampler=cmaes"],
            r"hydra/sweeper/sampler must be one of tpe, .* but got cmaes",
        ),
        (["hydra/sweeper/sampler=grid"], r"lr must be a list of values in a grid \(lr=A,B,C"),
        (["rank.min=interval(26,30)"], r"rank.min <= rank.average .* rank.min in 26"),
        (["lr=tag(log,interval(0,1))"], r"lr must be a range or choices that Optuna takes"),
        (["lr=interval(2,1)"], r"lr must be a range or choices that Optuna takes"),
        (["alpha.min=interval(0,1)"], r"alpha.min must be above 0 and finite, but got 0"),
        (["rank.max=interval(20.5,30.5)"], r"rank.max must be searched among integers"),
        (["finished=overwrite"], r"finished must be skip in a search"),
        (["pruner=median"], r"hydra/launcher must be pack while pruner=median"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_setting_ends_the_search_before_a_trial(
    overrides: list[str], match: str, search: Searching, tmp_path: Path
) -> None:
    launchers: list[FakeLauncher] = []
    with pytest.raises(SettingError, match=match):
        search(*overrides, launchers=launchers)
    assert not launchers or launchers[0].launched == []
    assert not list(tmp_path.rglob("sweep.json"))


@pytest.mark.parametrize("given", [(), ("search=rank_range", "rank=fixed_2", "lr=0.1")], ids=str)
def test_nothing_to_search_is_refused(given: tuple[str, ...], search: Searching) -> None:
    with pytest.raises(SettingError, match=r"hydra.sweeper.params must be settings to search"):
        search(*given, space=())


def test_inputs_of_the_highest_values_are_checked_before_a_trial(
    search: Searching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(config: Any, trains_here: bool) -> None:
        if config.rank.max > 29:
            raise SettingError("rank.max must be at most 29, the base's width")

    monkeypatch.setattr(execute, "check_inputs", check)
    with pytest.raises(SettingError, match=r"^rank.max must be at most 29, .*\nin the run .*=30"):
        search(FOUR)
    assert not list(tmp_path.rglob("study.journal"))


def test_search_leaves_no_database_open(search: Searching, tmp_path: Path) -> None:
    search(FOUR, SQLITE)
    assert (tmp_path / "s" / "study.db").exists()
    left_open = [file.path for file in psutil.Process().open_files()]
    assert [path for path in left_open if path.startswith(str(tmp_path))] == []


@pytest.mark.parametrize("place", ["sqlite:///~/s.db", "~/s.journal"])
def test_storage_may_lie_at_home(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert storage_place(place, tmp_path) == place.replace("~", "/home/me")
    for other in ("sqlite:////a~/s.db", "a~/s.journal", "mysql://me:~@host/db"):
        assert storage_place(other, tmp_path) == other


def test_journal_is_a_storage_as_well(search: Searching, found: Found, tmp_path: Path) -> None:
    own = ("hydra.sweeper.storage=journal", "hydra.sweeper.n_jobs=2")
    search(*own, "hydra.sweeper.n_trials=2")
    assert [number for number, _ in search(*own, FOUR).launched] == [2, 3]
    assert (tmp_path / "s" / "study.journal").exists()
    assert not (tmp_path / "s" / "study.db").exists()
    assert found().storage.endswith("study.journal")


def test_runs_of_trials_and_confirmations_are_listed(search: Searching, tmp_path: Path) -> None:
    search("hydra.sweeper.n_trials=2", "hydra.sweeper.confirm={n_best: 1, n_seeds: 2}")
    listed = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert len(listed["runs"]) == 2 + 2
    (command,) = listed["commands"]
    assert command.startswith("python -m lora_sweep --multirun hydra/sweeper=optuna_resumable")


def test_larger_search_takes_its_earlier_runs_over(search: Searching, tmp_path: Path) -> None:
    again = "hydra.sweeper.confirm={n_best: 1, n_seeds: 2}"
    search("hydra.sweeper.n_trials=2", again)
    search("hydra.sweeper.n_trials=3", again)
    listed = set(read_sweep(tmp_path / "s"))
    assert set(read_asked(tmp_path / "s") or ()) == listed and len(listed) >= 2 + 2 + 1
