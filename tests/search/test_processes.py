"""Real searches: killed and gone on with, two at once, pruned, and the stock sweeper."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from omegaconf import OmegaConf
from sweeps import TORTURE, Command, end, lines_with, text_of, wait_for

from .searches import GRID, N_TRIALS, OWN, STOCK, record_of, search_command, study_of

pytestmark = pytest.mark.slow
Make = Callable[..., Command]


@pytest.fixture(scope="module")
def make(tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Make:
    """More arguments -> the search, in a folder of its own."""
    cache = f"paths.cache={tmp_path_factory.getbasetemp() / 'cache'}"

    def command(*more: str, own: Sequence[str] = OWN) -> Command:
        folder = tmp_path_factory.mktemp("search")
        return search_command(folder, [*tiny_settings, cache], "n_seeds=2", *more, own=own)

    return command


STOPPED = ("training.epochs=6", "hydra.sweeper.n_trials=3")


@pytest.fixture(scope="module")
def undisturbed(make: Make) -> Command:
    command = make(*STOPPED)
    code, output = command.run()
    assert code == 0, output
    return command


def _found(command: Command) -> list[Any]:
    """What a search has found, without what tells when."""
    return [
        (trial.number, trial.status, trial.params, trial.folders, trial.seeds, trial.values)
        for trial in record_of(command).trials
    ]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, -9),
        *([(signal.SIGINT, 130), (signal.SIGTERM, 143)] if TORTURE else []),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_search_that_was_stopped_in_a_trial_ends_as_if_it_had_not_been(
    number: signal.Signals, code: int, undisturbed: Command, make: Make
) -> None:
    command = make(*STOPPED)

    def is_in_second_trial() -> bool:
        return len(command.runs) > 2 and bool(command.checkpoints())

    stopped, output = command.run_until(is_in_second_trial, number)
    assert stopped == code, output
    assert any(trial.status == "running" for trial in record_of(command).trials)
    code_again, output = command.run()
    assert code_again == 0, output
    assert _found(command) == _found(undisturbed)
    assert record_of(command).confirmed == record_of(undisturbed).confirmed
    assert [trial.state.name for trial in study_of(command).trials] == ["COMPLETE"] * 3
    assert command.numbers() == undisturbed.numbers()


def test_workers_go_on_with_a_search_that_was_killed(make: Make) -> None:
    workers = ("hydra/launcher=pack_joblib", "hydra.sweeper.n_jobs=2")
    pruner = ("pruner=successive_halving", "training.epochs=4")
    command = make(*workers, *pruner, "hydra.sweeper.confirm.n_best=0", own=GRID)
    code, output = command.run_until(lambda: len(command.runs) > 4, signal.SIGKILL)
    assert code == -9, output
    claims = map(text_of, command.sweep_dir.glob(".packs/*.claim"))
    workers = {
        int(line.removeprefix("pid=")) for one in claims for line in lines_with(one, "pid=")
    }
    before = study_of(command).trials  # the record may be one trial behind
    n_told = sum(trial.state.is_finished() for trial in before)
    assert len(before) - n_told in (1, 2)
    code, output = command.run()
    assert code == 0, output
    after = record_of(command).trials
    assert [trial.params for trial in after[: len(before)]] == [trial.params for trial in before]
    assert len(after) == N_TRIALS
    assert {trial.status for trial in after} == {"finished", "pruned"}
    assert len(lines_with(output, "best so far")) == N_TRIALS - n_told
    for trial in after:
        left = "result.json" if trial.status == "finished" else "pruned.json"
        assert all((command.sweep_dir / name / left).exists() for name in trial.folders)
    wait_for(lambda: not any(map(_is_alive, workers)))


def _is_alive(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_searchers_share_a_study(make: Make) -> None:
    command = make("hydra.sweeper.n_trials=6")
    first = command.start()
    wait_for((command.sweep_dir / ".trials").exists)
    second = command.start()
    ends = [end(process) for process in (first, second)]
    for code, output in ends:
        assert code == 0, output
    trials = record_of(command).trials
    assert [trial.status for trial in trials] == ["finished"] * 6
    told = [{n for n in range(6) if f"trial {n} of 6:" in output} for _, output in ends]
    assert told[0] and told[1] and not told[0] & told[1]
    assert told[0] | told[1] == set(range(6))
    for run in command.runs:  # no run was trained by both
        assert (run / "run.log").read_text().count(": epoch 1:") == 1


def test_pruned_trial_leaves_its_pack_and_is_told(make: Make) -> None:
    command = make("pruner=median", "pruner.n_startup_trials=1", "training.epochs=4", own=GRID)
    code, output = command.run()
    assert code == 0, output
    trials = record_of(command).trials
    pruned = [trial for trial in trials if trial.status == "pruned"]
    assert pruned and len(pruned) < N_TRIALS
    states = [trial.state.name for trial in study_of(command).trials]
    assert states.count("PRUNED") == len(pruned)
    for trial in pruned:
        assert f"trial {trial.number}: pruned after epoch {trial.pruned_epoch} (" in output
        for folder in trial.folders:
            run = command.sweep_dir / folder
            assert (run / "pruned.json").exists() and not (run / "result.json").exists()
            n_epochs = len((run / "history.jsonl").read_text().splitlines())
            assert n_epochs < 4


def test_stock_sweeper_runs_a_search(make: Make) -> None:
    command = make("hydra.sweeper.n_trials=2", own=STOCK)
    code, output = command.run()
    assert code == 0, output
    results = OmegaConf.load(Path(command.sweep_dir) / "optimization_results.yaml")
    assert results.name == "optuna"
    assert set(results.best_params) == {"alpha.max", "lr"}
    assert len(list(command.sweep_dir.glob("*/result.json"))) == 4
