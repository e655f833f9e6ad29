"""Which runs a sweep lists, checks and starts; nothing is trained here."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from composing import QuickLoader
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext

from lora_sweep.config.store import CONF
from lora_sweep.errors import CorpusError, SettingError, SweepFailedError, TrainingFailedError
from lora_sweep.execution import execute
from lora_sweep.launch.cells import job_title
from lora_sweep.launch.grids import GridSweeper, runs_of_grids
from lora_sweep.store.sweep_list import read_sweep

Sweep = Callable[..., "FakeLauncher"]


class FakeLauncher:
    """Notes what it is asked to launch; jobs with an override in `failing` fail with its error."""

    def __init__(self, failing: dict[str, Exception]) -> None:
        self.failing = failing
        self.batches: list[tuple[int, list[list[str]]]] = []

    @property
    def jobs(self) -> list[str]:
        return [" ".join(job) for _, batch in self.batches for job in batch]

    def launch(self, job_overrides: Sequence[list[str]], initial_job_idx: int) -> list[JobReturn]:
        self.batches.append((initial_job_idx, list(job_overrides)))
        return [self._result(overrides) for overrides in job_overrides]

    def _result(self, overrides: list[str]) -> JobReturn:
        for override in self.failing.keys() & set(overrides):
            error = self.failing[override]
            return JobReturn(overrides, status=JobStatus.FAILED, _return_value=error)
        return JobReturn(overrides, status=JobStatus.COMPLETED, _return_value=0.5)


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    """A sweep's command line -> the launcher, after the sweep; its folder is `tmp_path/s`."""
    monkeypatch.setattr(execute, "check_inputs", lambda config, trains_here: None)

    def run(
        *given: str, failing: dict[str, Exception] | None = None, **sweeper_settings: Any
    ) -> FakeLauncher:
        arguments = [f"paths.outputs={tmp_path}", "paths.sweep=s", *given]
        loader: Any = QuickLoader(GlobalHydra.instance().config_loader())
        plain = [argument for argument in arguments if "," not in argument]
        master = loader.load_sweep(plain)
        master.hydra.overrides.task = arguments
        sweeper = GridSweeper(**{"grids": master.hydra.sweeper.grids} | sweeper_settings)
        sweeper.master = master
        sweeper.context = HydraContext(config_loader=loader, callbacks=Callbacks())
        launcher = sweeper.job_launcher = FakeLauncher(failing or {})
        sweeper.sweep(arguments)
        return launcher

    with initialize_config_dir(CONF):
        yield run


def test_initializations_sweep_names_110_runs() -> None:
    with initialize_config_dir(CONF):
        config = compose("config", ["sweep=initializations"], return_hydra_config=True)
    parse = OverridesParser.create().parse_overrides
    grids = [
        parse([f"{name}={values}" for name, values in grid.items()])
        for grid in config.hydra.sweeper.grids
    ]
    runs = {" ".join(run) for run in runs_of_grids(grids, [])}
    assert len(runs) == 110
    assert sum("init=fixed" in run for run in runs) == 10


def test_initializations_sweep_lists_each_run_once(sweep: Sweep, tmp_path: Path) -> None:
    jobs = sweep("sweep=initializations", "lr=0.1,0.2", "seed=3").jobs
    settings = list(read_sweep(tmp_path / "s").values())
    adaptive = [s for s in settings if s["init"] != "fixed"]
    assert len(jobs) == len(settings) == 10
    assert len({(s["init"], s["lr"]) for s in adaptive}) == len(adaptive) == 8
    assert [s["rank.max"] for s in settings if s not in adaptive] == [20, 25]
    assert {s["seed"] for s in settings} == {3}


def test_seeds_given_replace_those_of_every_grid(sweep: Sweep) -> None:
    assert len(sweep("sweep=demo", "seed=7,8").jobs) == 2 * 2 * 2 + 2


def test_fixed_ranks_are_started_once_a_seed(sweep: Sweep, tmp_path: Path) -> None:
    launcher = sweep("init=fixed,uniform", "lr=0.1,0.2,0.3", "seed=0,1")
    fixed = [job for job in launcher.jobs if "init=fixed" in job]
    assert len(launcher.jobs) == 2 + 6
    assert [job.rpartition("seed=")[2] for job in fixed] == ["0", "1"]
    assert len(read_sweep(tmp_path / "s")) == 8


def test_seeds_of_a_cell_are_all_listed(sweep: Sweep, tmp_path: Path) -> None:
    launcher = sweep("seed=3", "n_seeds=2", "lr=0.1,0.2")
    assert len(launcher.jobs) == 2
    seeds = sorted(settings["seed"] for settings in read_sweep(tmp_path / "s").values())
    assert seeds == [3, 3, 4, 4]


def test_run_of_two_cells_is_counted_once(
    sweep: Sweep, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        sweep("seed=0,1", "n_seeds=2")
    assert f"3 runs in {tmp_path / 's'}" in caplog.messages


def test_second_sweep_joins_the_first_ones_list(sweep: Sweep, tmp_path: Path) -> None:
    sweep("lr=0.1,0.2")
    sweep("lr=0.2,0.3")
    assert {s["lr"] for s in read_sweep(tmp_path / "s").values()} == {0.1, 0.2, 0.3}


def test_job_is_named_by_what_the_command_does_not_give_to_all() -> None:
    with initialize_config_dir(CONF):
        given = ["sweep=demo", "training.epochs=2", "seed=0"]
        master = compose("config", given, return_hydra_config=True)
    master.hydra.overrides.task = [*given, "lr=0.1,0.2"]  # as Hydra notes them in a sweep
    assert job_title(master, [*given, "init=randn", "lr=0.2"]) == "init=randn lr=0.2"
    assert job_title(master, given) == "as the command says"


def test_batches_keep_number_and_size(sweep: Sweep) -> None:
    batches = sweep("seed=range(5)", max_batch_size=2).batches
    assert [(start, len(jobs)) for start, jobs in batches] == [(0, 2), (2, 2), (4, 1)]


def test_wrong_run_stops_the_sweep_before_it_starts(sweep: Sweep, tmp_path: Path) -> None:
    match = "rank.average must be within .* but got 30\nin the run rank.average=30$"
    with pytest.raises(SettingError, match=match):
        sweep("rank.average=20,30")
    assert list(tmp_path.iterdir()) == []


def test_missing_input_stops_the_sweep_before_it_starts(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: Any, trains_here: bool) -> None:
        raise CorpusError("no corpus here")

    monkeypatch.setattr(execute, "check_inputs", fail)
    with pytest.raises(CorpusError, match=r"no corpus here\nin the run seed=0$"):
        sweep("seed=0,1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TrainingFailedError("loss became nan\nsecond"), "loss became nan"),
        (KeyError("x"), "KeyError: 'x'"),
        (MemoryError(), "MemoryError without a message"),
    ],
    ids=["own", "foreign", "silent"],
)
def test_failed_runs_are_counted_and_the_first_named(
    error: Exception, line: str, sweep: Sweep
) -> None:
    with pytest.raises(SweepFailedError, match=r"^1 of 3 jobs failed") as caught:
        sweep("seed=0,1,2", failing={"seed=1": error})
    lines = str(caught.value).splitlines()
    assert len(lines) <= 5
    assert lines[1] == "first: seed=1"
    assert lines[2] == line


@pytest.mark.parametrize("place", ["paths.sweep=a,b", "paths.outputs=a,b"])
def test_runs_of_several_places_are_refused(place: str, sweep: Sweep, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"paths\.sweep must be the same .* but got "):
        sweep(place)
    assert list(tmp_path.iterdir()) == []
