"""A resolve from its command on, with runs of known numbers in place of trainings."""

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from composing import QuickLoader
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from records import epoch_record, make_record

from lora_sweep.config.store import CONF
from lora_sweep.errors import LoraSweepError, SettingError, SweepFailedError, TrainingFailedError
from lora_sweep.execution import execute
from lora_sweep.execution.content import runs_of
from lora_sweep.launch import grids, seed_jobs
from lora_sweep.launch.budget import Budget
from lora_sweep.launch.cells import Cell, compose_cell
from lora_sweep.launch.composing import Composer
from lora_sweep.launch.resolve import ResolveSweeper, last_lines
from lora_sweep.report.compare.plan import read_plan
from lora_sweep.report.compare.resolved import read_resolution, resolved_sentences
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.store.looks_made import Made, read_made
from lora_sweep.store.record import FailureRecord
from lora_sweep.store.sweep_list import add_to_sweep, read_asked, read_commands, read_sweep

NOISE = (0.0, 0.002, -0.001, 0.001, 0.0015, -0.0005)
LEVELS = {"uniform": 0.7, "randn": 0.5, "quadratic": 0.6, "fixed": 0.5}
BASELINES = "learning_rate.head=0.001,0.002"
THREE = ("init=uniform,randn,fixed", "rank.average=20")
FOLDER = Path("outputs", "s")


_CELLS: dict[tuple[str, ...], Cell] = {}


def quick_cell(composer: Composer, overrides: Sequence[str]) -> Cell:
    """As `compose_cell`, which takes a quarter of a second: once for all seeds and tests."""
    seeds = [one for one in overrides if one.startswith(("seed=", "n_seeds="))]
    others = tuple(one for one in overrides if one not in seeds)
    if others not in _CELLS:
        _CELLS[others] = compose_cell(composer, others)
    first = _CELLS[others]
    given = {name: int(number) for name, _, number in (one.partition("=") for one in seeds)}
    config = dataclasses.replace(first.config, **given)  # type: ignore[arg-type]
    return Cell(tuple(overrides), " ".join(overrides), first.composed, config, runs_of(config))


class Trainer:
    """A launcher whose runs have the metric of their init, and a little noise of their seed.

    Attributes:
        failing: init and seed -> the errors that the run ends in, one a try; None for no end.
        trained: folder names, one for each try.
        made: the looks that were noted at each launch.
        wild: inits whose differences never tell.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failing: dict[tuple[str, int], list[Exception]] = {}
        self.trained: list[str] = []
        self.made: list[Made] = []
        self.wild: set[str] = set()

    def launch(self, job_overrides: list[list[str]], initial_job_idx: int) -> list[JobReturn]:
        listed = read_sweep(self.folder)
        self.made.append(read_made(self.folder))
        return [self._run(one, self._name(dict(o.split("=", 1) for o in one), listed))
                for one in job_overrides]  # fmt: skip

    def _name(self, job: dict[str, str], listed: dict[str, Any]) -> str:
        (name, *_) = [
            name
            for name, s in listed.items()
            if s["init"] == job.get("init", "uniform")
            and s["seed"] == int(job["seed"])
            and (s["lr"] is None or s["lr"] == float(job.get("lr", 0.01)))
            and ("rank" not in job or f"fixed_{s['rank.average']:g}" == job["rank"])
        ]
        return name

    def _run(self, overrides: list[str], name: str) -> JobReturn:
        settings, folder = read_sweep(self.folder)[name], self.folder / name
        if (folder / "result.json").exists():
            return JobReturn(overrides, status=JobStatus.COMPLETED, _return_value=0.5)
        self.trained.append(name)
        folder.mkdir(parents=True, exist_ok=True)
        init, seed = settings["init"], settings["seed"]
        if errors := self.failing.get((init, seed)):
            error = errors.pop(0)
            if not isinstance(error, OSError):
                failure = FailureRecord(settings, str(error), name).to_json()
                (folder / "failure.json").write_text(failure)
            return JobReturn(overrides, status=JobStatus.FAILED, _return_value=error)
        (folder / "failure.json").unlink(missing_ok=True)
        spread = 60 if init in self.wild else 1
        metric = LEVELS[init] + spread * NOISE[(seed + len(init)) % 6]
        record = make_record(name, settings, [epoch_record(1, {"accuracy": metric})])
        (folder / "result.json").write_text(record.to_json())
        return JobReturn(overrides, status=JobStatus.COMPLETED, _return_value=metric)


Resolve = Callable[..., "Resolved"]


class Resolved:
    """A resolve that has ended."""

    def __init__(self, master: Any) -> None:
        self._master = master

    @property
    def last(self) -> str:
        """The lines that the command ends with."""
        return "\n".join(last_lines(self._master))


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path / FOLDER)


@pytest.fixture
def resolve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Trainer
) -> Iterator[Resolve]:
    """Command line and settings of the sweeper -> what it returned."""
    monkeypatch.chdir(tmp_path)  # so that all tests' cells lie in one place, and are the same
    for module in (grids, seed_jobs):
        monkeypatch.setattr(module, "compose_cell", quick_cell)
    monkeypatch.setattr(execute, "check_inputs", lambda config, trains_here: None)
    monkeypatch.setattr(grids, "WAIT_SECONDS", 0.0)

    def run(*given: str, question: dict[str, Any] | None = None, **settings: Any) -> Resolved:
        arguments = [f"paths.outputs={FOLDER.parent}", f"paths.sweep={FOLDER.name}", *given]
        loader: Any = QuickLoader(GlobalHydra.instance().config_loader())
        plain = [one for one in arguments if "," not in one]
        master = loader.load_sweep(["hydra/sweeper=resolve", *plain])
        master.hydra.overrides.task = arguments
        told = re.sub(r"\W", "_", str(settings))
        # Another budget is another command.
        master.hydra.overrides.hydra = ["hydra/sweeper=resolve", f"hydra.job.name='{told}'"]
        master.hydra.callbacks.report |= question or {}
        grids_of = {"grids": master.hydra.sweeper.grids, "looks": [3, 4]}
        sweeper = ResolveSweeper(**grids_of | settings)
        sweeper.master = master
        sweeper.context = HydraContext(config_loader=loader, callbacks=Callbacks())
        sweeper.job_launcher = trainer  # type: ignore[assignment]
        sweeper.sweep(arguments)
        master.hydra.sweeper = {"max_seeds": settings.get("max_seeds")}
        return Resolved(master)

    with initialize_config_dir(CONF):
        yield run


def _seeds(trainer: Trainer, init: str) -> list[int]:
    listed = read_sweep(trainer.folder)
    return sorted(listed[n]["seed"] for n in trainer.trained if listed[n]["init"] == init)


def test_plan_lies_there_before_the_first_run(resolve: Resolve, trainer: Trainer) -> None:
    def launch(*_: Any) -> None:
        plan = read_plan(trainer.folder)
        assert plan is not None
        assert set(plan.pairs) == {("uniform", "fixed, rank 20"), ("randn", "fixed, rank 20")}
        assert plan.looks == (3, 4)
        raise InterruptedError

    trainer.launch = launch  # type: ignore[method-assign, assignment]
    with pytest.raises(InterruptedError):
        resolve(*THREE)


def test_closed_comparison_trains_no_more(resolve: Resolve, trainer: Trainer) -> None:
    trainer.wild = {"randn"}
    found = resolve(*THREE)
    assert _seeds(trainer, "uniform") == [0, 1, 2]
    assert _seeds(trainer, "randn") == _seeds(trainer, "fixed") == [0, 1, 2, 3]
    resolution = read_resolution(trainer.folder, collect_runs(trainer.folder))
    assert resolution is not None
    (uniform, _) = resolved_sentences(resolution)
    assert uniform.startswith("Uniform against fixed, rank 20: better after 3 seeds")
    last = found.last
    assert uniform not in last  # the report has said it
    assert "the last look is made, 1 of 2 comparisons not resolved" in last
    assert read_made(trainer.folder) == Made(4, is_over=True)
    n = len(trainer.trained)
    assert resolve(*THREE).last == last
    assert len(trainer.trained) == n


def test_another_plan_is_refused(resolve: Resolve, trainer: Trainer) -> None:
    resolve(*THREE)
    n = len(trainer.trained)
    with pytest.raises(SettingError, match="looks must be as planned"):
        resolve(*THREE, looks=[3, 5])
    with pytest.raises(SettingError, match="question must be as planned"):
        resolve(*THREE, question={"equivalence_points": 1.0})
    with pytest.raises(SettingError, match="pairs must be as planned"):
        resolve("init=uniform,quadratic,fixed", "rank.average=20")
    with pytest.raises(SettingError, match="looks must be as planned"):
        resolve(*THREE, looks=[3], any_time=True)
    assert len(trainer.trained) == n
    assert resolve(*THREE, looks=None).last  # those of the plan


def test_failed_run_is_tried_again_before_its_look_only(
    resolve: Resolve, trainer: Trainer
) -> None:
    trainer.wild = {"randn"}
    memory = [RuntimeError("no memory"), RuntimeError("no memory")]
    trainer.failing = {
        ("fixed", 1): memory,
        ("randn", 2): [RuntimeError("once")],
        ("randn", 1): [TrainingFailedError("loss became nan")],
    }
    resolve(*THREE)
    assert _seeds(trainer, "fixed") == [0, 1, 1, 2, 3]  # twice before the look at 3, never after
    assert _seeds(trainer, "randn") == [0, 1, 2, 2, 3]  # what diverged would diverge again
    trainer.failing = {}
    n = len(trainer.trained)
    resolve(*THREE)
    assert len(trainer.trained) == n
    assert not (set(_seeds(trainer, "randn")) - set(range(4)))  # no seed in another's place


def test_failure_of_the_sweep_is_tried_again_before_the_first_look(
    resolve: Resolve, trainer: Trainer
) -> None:
    trainer.failing = {("fixed", 1): [RuntimeError("no memory")] * 2}
    with pytest.raises(InterruptedError):
        _stopped_after(6, trainer, lambda: resolve("init=uniform,fixed"))
    assert read_made(trainer.folder) == Made(0, is_over=False)
    trainer.failing = {}
    resolve("init=uniform,fixed")
    assert len(list(trainer.folder.glob("*/failure.json"))) == 0


def _stopped_after(n: int, trainer: Trainer, act: Callable[[], Any]) -> None:
    run = trainer._run

    def stopping(overrides: list[str], name: str) -> JobReturn:
        if len(trainer.trained) >= n:
            raise InterruptedError
        return run(overrides, name)

    trainer._run = stopping  # type: ignore[method-assign]
    try:
        act()
    finally:
        trainer._run = run  # type: ignore[method-assign]


@pytest.mark.parametrize("n", [0, 2, 9, 10])
def test_stopped_resolve_comes_to_the_same(resolve: Resolve, trainer: Trainer, n: int) -> None:
    trainer.wild = {"randn"}
    with pytest.raises(InterruptedError):
        _stopped_after(n, trainer, lambda: resolve(*THREE))
    resolve(*THREE)
    assert _seeds(trainer, "uniform") == [0, 1, 2]
    assert _seeds(trainer, "randn") == _seeds(trainer, "fixed") == [0, 1, 2, 3]


def test_runs_that_are_there_cost_no_budget(
    resolve: Resolve, trainer: Trainer, caplog: pytest.LogCaptureFixture
) -> None:
    trainer.wild = {"randn", "quadratic"}
    three = ("init=quadratic,randn,fixed", "rank.average=20")
    with pytest.raises(SettingError, match=r"max_runs must be null, or an integer"):
        resolve(*three, max_runs=0)
    with caplog.at_level("INFO"):
        found = resolve(*three, max_runs=10)
    assert "the look at 4 seeds is not made: it needs 3 runs, and 9 of 10 are spent" in caplog.text
    assert "2 of 2 comparisons left, the next look takes 4 seeds" in found.last
    assert read_made(trainer.folder) == Made(3, is_over=False)
    assert found.last.endswith(f"python -m lora_sweep.resolve {FOLDER}")
    assert "last look is made" in resolve(*three, max_runs=3).last
    assert len(trainer.trained) == 12


def test_budget_below_the_first_look_trains_nothing(resolve: Resolve, trainer: Trainer) -> None:
    found = resolve(*THREE, max_runs=8)
    assert not trainer.trained
    assert "no look was made yet, the next look takes 3 seeds" in found.last


def test_hours_end_it_before_a_look(resolve: Resolve, trainer: Trainer) -> None:
    now = time.monotonic()
    assert Budget(max_hours=1, _started=now - 3500).spent(8, 1) is None
    assert Budget(max_hours=1, _started=now - 3601).spent(8, 1) == "the time is over, 1 hour"
    with pytest.raises(SettingError, match=r"max_hours must be null, or more than 0"):
        resolve(*THREE, max_hours=0)
    assert "no look was made yet" in resolve(*THREE, max_hours=1e-9).last
    assert not trainer.trained


def test_any_time_may_go_on_without_end(resolve: Resolve, trainer: Trainer) -> None:
    trainer.wild = {"randn"}
    given: dict[str, Any] = {"looks": [3], "any_time": True}
    first = resolve(*THREE, **given, max_seeds=4)
    assert _seeds(trainer, "randn") == [0, 1, 2, 3]
    assert first.last.endswith("--max-seeds 10")
    assert read_made(trainer.folder) == Made(4, is_over=True)
    resolve(*THREE, looks=None, max_seeds=5)  # at any time, as planned
    assert _seeds(trainer, "randn") == [0, 1, 2, 3, 4]
    assert trainer.made == [Made(n) for n in (0, 3, 4)]
    resolve(*THREE, **given, max_seeds=6)
    assert _seeds(trainer, "fixed") == list(range(6))


def test_looks_go_up_to_max_seeds(resolve: Resolve, trainer: Trainer) -> None:
    trainer.wild = {"randn"}
    resolve(*THREE, looks=None, max_seeds=4)
    plan = read_plan(trainer.folder)
    assert plan is not None and plan.looks == (4,)
    with pytest.raises(SettingError, match=r"max_seeds must be seeds of the last look \(6\)"):
        resolve(*THREE, looks=[4, 6], max_seeds=5)


def test_looks_that_are_none_are_refused(resolve: Resolve, trainer: Trainer) -> None:
    with pytest.raises(SettingError, match="looks must be ascending numbers of seeds"):
        resolve(*THREE, looks=["a", 4])
    assert not trainer.folder.exists()


@pytest.mark.parametrize("inits", ["init=uniform,randn", "init=fixed"])
def test_without_pairs_nothing_is_left(resolve: Resolve, trainer: Trainer, inits: str) -> None:
    with pytest.raises(SettingError, match=r"add init=fixed"):
        resolve(inits)
    assert not trainer.folder.exists()


def test_grids_keep_their_settings_and_lose_their_seeds(
    resolve: Resolve, trainer: Trainer
) -> None:
    resolve("sweep=demo", f"paths.sweep={FOLDER.name}", max_seeds=3, looks=None)
    listed = read_sweep(trainer.folder).values()
    assert {s["lr"] for s in listed if s["init"] == "randn"} == {0.01, 0.05}
    assert {s["seed"] for s in listed} == {0, 1, 2}
    assert len(listed) == 3 * (2 * 2 + 1)


def test_inits_meet_baselines_that_are_trained_alike(resolve: Resolve, trainer: Trainer) -> None:
    with pytest.raises(InterruptedError):
        _stopped_after(0, trainer, lambda: resolve("init=uniform,fixed", "lr=0.1", BASELINES))
    plan = read_plan(trainer.folder)
    assert plan is not None and [baseline for _, baseline in plan.pairs] == [
        "fixed, rank 20 (learning_rate.head=0.001)",
        "fixed, rank 20 (learning_rate.head=0.002)",
    ]


@pytest.mark.parametrize("seeds", [("seed=4",), ("seed=5,4",), ("seed=4", "n_seeds=3")])
def test_seeds_begin_where_the_command_says(
    resolve: Resolve, trainer: Trainer, seeds: tuple[str, ...]
) -> None:
    resolve("init=uniform,fixed", *seeds)
    assert _seeds(trainer, "uniform") == [4, 5, 6]
    resolve("init=uniform,fixed")  # the plan has the seeds now
    assert _seeds(trainer, "uniform") == [4, 5, 6]


def test_seeds_of_other_sweeps_in_the_folder_do_not_count(
    resolve: Resolve, trainer: Trainer
) -> None:
    other = {"init": "spectral", "seed": 0, "lr": 0.5, "rank.average": 3}
    add_to_sweep(trainer.folder, {"other": other}, "another command")
    resolve("init=uniform,fixed", "seed=7")
    assert _seeds(trainer, "uniform") == [7, 8, 9]


def test_run_that_has_not_ended_says_why(resolve: Resolve, trainer: Trainer) -> None:
    trainer.failing = {("fixed", 1): [OSError("no room")] * 2}
    with pytest.raises(SweepFailedError, match="no room"):
        resolve("init=uniform,fixed")
    assert read_made(trainer.folder) == Made(0, is_over=False)


def test_two_commands_keep_what_each_has_listed(resolve: Resolve, trainer: Trainer) -> None:
    """A second process lists its first look after this one has listed its second."""
    trainer.wild = {"randn"}
    resolve(*THREE)
    asked = read_asked(trainer.folder)
    add_to_sweep(trainer.folder, {}, read_commands(trainer.folder)[-1], grows=True)
    resolve(*THREE)
    assert read_asked(trainer.folder) == asked


def test_lost_run_of_a_made_look_is_trained_again(resolve: Resolve, trainer: Trainer) -> None:
    trainer.wild = {"randn"}
    before = resolve(*THREE).last
    lost = next(trainer.folder.glob("*fixed*seed1*/result.json"))
    lost.unlink()
    n = len(trainer.trained)
    assert resolve(*THREE).last == before
    assert trainer.trained[n:] == [lost.parent.name]


def test_damaged_note_of_the_looks_is_named(resolve: Resolve, trainer: Trainer) -> None:
    resolve("init=uniform,fixed")
    (trainer.folder / "resolve_looks.json").write_text(json.dumps({"seeds": "x"}))
    with pytest.raises(LoraSweepError, match=r"resolve_looks\.json can't be read: seeds must be"):
        resolve("init=uniform,fixed")
