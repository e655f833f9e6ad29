"""What trains together, and what becomes of a pack that breaks."""

import dataclasses
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.config.run import RunConfig, run_settings
from lora_sweep.errors import ClaimedElsewhereError, CorpusError
from lora_sweep.execution import group as packs
from lora_sweep.execution.job import Job, compatibility
from lora_sweep.store.claims import Claims
from lora_sweep.store.pack_list import PackList
from lora_sweep.store.record import read_failure
from lora_sweep.store.run_folder import RunFolder

Changed = Callable[[dict[str, Any]], RunConfig]


@pytest.mark.parametrize(
    "change",
    [
        {"init.name": "randn"},
        {"init.name": "fixed"},
        {"lr": 0.5},
        {"model.lora_alpha": 8.0},
        {"training.best_from": "settled"},
        {"model.path": "the_same_elsewhere"},
        {"rank.max": 30},
        {"alpha.max": 9.0},
        {"seed": 7},
        {"training.epochs_discrete": 1},
        {"training.weight_decay": 0.5},
        {"learning_rate.adapter": 0.5},
    ],
    ids=str,
)
def test_runs_train_together_though(change: dict[str, Any], changed: Changed) -> None:
    assert _key(changed(change)) == _key(changed({}))


@pytest.mark.parametrize(
    "change",
    [
        {"training.batch_size": 7},
        {"training.epochs": 9},
        {"training.evaluation_batch_size": 7},
        {"training.log_every": 7},
        {"precision": "bfloat16"},
        {"device": "cuda"},
        {"compile": True},
        {"model.dropout": 0.3},
        {"model.adapter_dropout": 0.3},
        {"model.pooling": "cls"},
        {"model.factors": "randomised"},
        {"data.max_length": 17},
    ],
    ids=str,
)
def test_runs_train_apart_for(change: dict[str, Any], changed: Changed) -> None:
    assert _key(changed(change)) != _key(changed({}))


def test_factors_that_do_not_nest_are_shared_at_one_rank_and_seed(changed: Changed) -> None:
    drawn = {"model.factors": "randomised"}
    larger = {"rank.max": 30}
    assert _key(changed(drawn | larger)) != _key(changed(drawn))
    assert _key(changed(drawn | {"model.factors_seed": 1})) != _key(changed(drawn))
    assert _key(changed(larger)) == _key(changed({}))


@pytest.mark.parametrize("other", ["model_fingerprint", "corpus_fingerprint"])
def test_runs_of_another_content_train_apart(other: str, run_config: RunConfig) -> None:
    (job,) = _jobs(run_config, Path(), 1)
    assert compatibility(dataclasses.replace(job, **{other: "another"})) != compatibility(job)


def _key(config: RunConfig) -> str:
    (job,) = _jobs(config, Path(), 1)
    return compatibility(job)


class FakeTraining:
    """Trains nothing; breaks if the pack holds a seed in `broken`, or more runs than fit."""

    def __init__(self, error: Exception, broken: Sequence[int], fits: int) -> None:
        self.error, self.broken, self.fits = error, broken, fits
        self.tried: list[list[int]] = []

    def __call__(
        self, jobs: Sequence[Job], shared: Any, claim: Any, stop_policy: Any
    ) -> list[Any]:
        seeds = [job.seed for job in jobs]
        self.tried.append(seeds)
        if len(jobs) > self.fits or set(self.broken) & set(seeds):
            raise self.error
        return seeds


def _jobs(config: RunConfig, folder: Path, n: int) -> list[Job]:
    return [
        Job(config, seed, RunFolder(folder / str(seed)), run_settings(config, seed), "", "", "")
        for seed in range(n)
    ]


def _train(
    training: FakeTraining,
    jobs: list[Job],
    size: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    waits: bool = True,
) -> list[Any]:
    class Shared:
        class encoder:
            can_pack = True

    monkeypatch.setattr(packs, "load_shared", lambda jobs: Shared)
    monkeypatch.setattr(packs, "train_together", training)
    return packs.train_jobs(jobs, packs.Options(pack_size=size, waits=waits))


def test_packs_are_of_like_size(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = FakeTraining(MemoryError(), [], 99)
    assert _train(training, _jobs(changed({}), tmp_path, 5), 4, monkeypatch) == [0, 1, 2, 3, 4]
    assert training.tried == [[0, 1, 2], [3, 4]]


def _two_groups(changed: Changed, folder: Path) -> list[Job]:
    """Two runs that train together, and one that trains apart from them."""
    one, other = (changed({"training.batch_size": size}) for size in (8, 16))
    return [*_jobs(one, folder, 2), *_jobs(other, folder, 3)[2:]]


def test_free_packs_of_any_group_go_before_waiting(
    changed: Changed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    jobs, training = _two_groups(changed, tmp_path), FakeTraining(MemoryError(), [], 99)
    (pack,) = PackList(tmp_path).agree(["0", "1"], lambda _: 2)
    trained_before_a_wait: list[list[list[int]]] = []
    with ExitStack() as elsewhere:
        elsewhere.enter_context(Claims(tmp_path / ".packs").claimed(pack))

        def sleep(seconds: float) -> None:
            trained_before_a_wait.append(list(training.tried))
            elsewhere.close()

        monkeypatch.setattr(packs.time, "sleep", sleep)
        assert _train(training, jobs, 2, monkeypatch) == [0, 1, 2]
    assert trained_before_a_wait == [[[2]]]
    assert training.tried == [[2], [0, 1]]
    assert caplog.text.count("waiting for 2 runs that process") == 1


def test_who_does_not_wait_leaves_what_others_train(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, training = _two_groups(changed, tmp_path), FakeTraining(MemoryError(), [], 99)
    (pack,) = PackList(tmp_path).agree(["0", "1"], lambda _: 2)
    with Claims(tmp_path / ".packs").claimed(pack):
        *left, trained = _train(training, jobs, 2, monkeypatch, waits=False)
    assert trained == 2
    assert [type(one) for one in left] == [ClaimedElsewhereError] * 2


def test_pack_out_of_memory_is_split_until_it_fits(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = FakeTraining(MemoryError("no room"), [], 2)
    assert _train(training, _jobs(changed({}), tmp_path, 4), 4, monkeypatch) == [0, 1, 2, 3]
    assert training.tried == [[0, 1, 2, 3], [0, 1], [2, 3]]


def test_run_that_breaks_every_pack_fails_alone(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = MemoryError("no room")
    training = FakeTraining(error, [1], 99)
    outcomes = _train(training, _jobs(changed({}), tmp_path, 4), 4, monkeypatch)
    assert outcomes == [0, error, 2, 3]
    assert read_failure(tmp_path / "1" / "failure.json").error == "MemoryError: no room"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".packs", "1"]


def test_run_that_fails_leaves_nothing_in_memory(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tensor:
        """Stands for what a pack computes with."""

    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()

    def step() -> None:
        activation = Tensor()
        alive.add(activation)
        raise MemoryError("no room")

    class Broken(FakeTraining):
        def __call__(self, *arguments: Any) -> list[Any]:
            parameters = Tensor()
            alive.add(parameters)
            try:
                step()
            except MemoryError as error:
                raise RuntimeError("the step broke") from error
            return []

    jobs = _jobs(changed({}), tmp_path, 2)
    outcomes = _train(Broken(RuntimeError(), [], 99), jobs, 1, monkeypatch)
    assert [str(one) for one in outcomes] == ["the step broke"] * 2
    assert not alive
    assert all(one.__traceback__ is not None for one in outcomes)  # --debug shows where


def test_wrong_input_is_not_tried_in_halves(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = CorpusError("no labels")
    training = FakeTraining(error, [1], 99)
    jobs = _jobs(changed({}), tmp_path, 2)
    assert _train(training, jobs, 2, monkeypatch) == [error, error]
    assert training.tried == [[0, 1]]


def test_what_breaks_before_a_pack_starts_is_in_every_log(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(jobs: Sequence[Job]) -> None:
        raise RuntimeError("the base does not fit the batches")

    monkeypatch.setattr(packs, "load_shared", broken)
    jobs = _jobs(changed({}), tmp_path, 2)
    for outcome in packs.train_jobs(jobs, packs.Options(pack_size=2)):
        assert isinstance(outcome, RuntimeError)
    for job in jobs:
        log = (job.folder.path / "run.log").read_text()
        assert "Traceback" in log and "the base does not fit the batches" in log
