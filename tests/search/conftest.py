"""Searches whose trials train nothing: a launcher that writes their runs' results at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from composing import QuickLoader
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext

from lora_sweep.config.store import CONF
from lora_sweep.execution import execute
from lora_sweep.launch.cell_launcher import CellLauncher
from lora_sweep.launch.cells import Cell
from lora_sweep.search.sweeper import OptunaResumable, _hide_passwords
from lora_sweep.store.epochs import EpochRecord
from lora_sweep.store.record import RunRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.sweep_list import read_sweep

SPACE = (
    "rank.min=interval(1,15)",
    "rank.max=interval(10,30)",
    "rank.average=interval(5,25)",
    "lr=tag(log,interval(0.001,0.1))",
)
JOURNAL, SQLITE = "hydra.sweeper.storage=journal", "hydra.sweeper.storage=null"
Metric = Callable[[dict[str, Any]], float]


def metric_of(settings: dict[str, Any]) -> float:
    """A metric with one peak, and a little more of it for larger seeds."""
    lr, average = settings["lr"] or 0.01, settings["rank.average"]
    return 0.9 - abs(lr - 0.03) - 0.01 * abs(average - 12) + 0.001 * settings["seed"]


def write_result(folder: Path, settings: dict[str, Any], metric: float) -> None:
    """What a finished run leaves: 8 matrices, all of the average rank."""
    average = settings["rank.average"]
    epoch = EpochRecord(
        *(1, 8, 0.5, {"accuracy": metric}, 0.5, 9.0, 0.0),
        *(8 * average**2, [float(average)] * 8, [average] * 8),
    )
    record = RunRecord(
        *(settings, "f", "m", "c", "accuracy", list("abcdefgh"), [epoch]),
        *(metric, 1, metric, None, None, False),
        *({"adapter": 8 * settings["rank.max"] ** 2, "logits": 8}, 1.0, "cpu", {}, None, []),
    )
    folder.mkdir(parents=True, exist_ok=True)
    RunFolder(folder).finish(record)


class FakeLauncher:
    """Writes a result for each run that is listed; jobs of some numbers end otherwise.

    Attributes:
        launched: the number and overrides of every job, in order.
        trained: names of the runs that a result was written for.
    """

    def __init__(self, sweep_dir: Path, metric: Metric, ends: dict[int, BaseException]) -> None:
        self.sweep_dir, self.metric, self.ends = sweep_dir, metric, ends
        self.launched: list[tuple[int, list[str]]] = []
        self.trained: list[str] = []

    def launch(self, job_overrides: Sequence[list[str]], initial_job_idx: int) -> list[JobReturn]:
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        self.launched += zip(numbers, job_overrides, strict=True)
        for number in numbers:
            if isinstance(error := self.ends.get(number), KeyboardInterrupt):
                raise error
        for name, settings in read_sweep(self.sweep_dir).items():
            if not (self.sweep_dir / name / "result.json").exists():
                write_result(self.sweep_dir / name, settings, self.metric(settings))
                self.trained.append(name)
        return [self._end(*job) for job in zip(numbers, job_overrides, strict=True)]

    def _end(self, number: int, overrides: list[str]) -> JobReturn:
        if number in self.ends:
            return JobReturn(overrides, status=JobStatus.FAILED, _return_value=self.ends[number])
        return JobReturn(overrides, status=JobStatus.COMPLETED, _return_value=0.5)

    def values(self, setting: str) -> list[str]:
        """What a setting was in each job."""
        return [
            override.partition("=")[2]
            for _, overrides in self.launched
            for override in overrides
            if override.startswith(f"{setting}=")
        ]


class FakeWorkers:
    """Workers that take jobs while others train, and end in a chosen order.

    Attributes:
        events: `begin NUMBER` and `end NUMBER`, as they came.
    """

    def __init__(self, n_together: int, last_first: bool = True) -> None:
        """Takes how many jobs a worker gets, and whether those that came last end first."""
        self.together, self.last_first = n_together, last_first
        self.events: list[str] = []
        self.under_way: list[dict[int, Cell]] = []

    def n_together(self, launcher: CellLauncher, n_jobs: int) -> int:
        return self.together

    @contextmanager
    def open(
        self, launcher: CellLauncher, *, n_runs: int, stop_policy: object
    ) -> Iterator["FakeWorkers"]:
        self.launcher = launcher
        yield self

    def add(self, cells: dict[int, Cell]) -> None:
        self.events += [f"begin {number}" for number in cells]
        self.under_way.append(cells)

    def ended(self) -> dict[int, JobReturn]:
        cells = self.under_way.pop(-1 if self.last_first else 0)
        launched = self.launcher.launch(list(cells.values()), min(cells))
        self.events += [f"end {number}" for number in cells]
        return dict(zip(cells, launched, strict=True))


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A search's command line -> its launcher, at its end; its folder is `tmp_path/SWEEP`.

    Its study is a journal, the fastest; the default, SQLite, is asked for.
    """
    monkeypatch.setattr(execute, "check_inputs", lambda config, trains_here: None)

    def run(
        *given: str,
        metric: Metric = metric_of,
        ends: dict[int, BaseException] | None = None,
        launchers: list[FakeLauncher] | None = None,
        space: Sequence[str] = SPACE,
        sweep: str = "s",
        workers: FakeWorkers | None = None,
    ) -> FakeLauncher:
        if workers is not None:
            for name in ("n_together", "open"):
                own = getattr(workers, name)
                monkeypatch.setattr(
                    CellLauncher, name, lambda *a, own=own, **more: own(*a, **more)
                )
        own = [override for override in given if override.startswith(("hydra", "pruner"))]
        arguments = [f"paths.outputs={tmp_path}", f"paths.sweep={sweep}", *space]
        arguments += [override for override in given if override not in own]
        if not any("sampler=" in override for override in own):
            own.append("hydra/sweeper/sampler=random")
        defaults = ["hydra.sweeper.sampler.seed=0", "hydra.sweeper.confirm.n_best=0", JOURNAL]
        plain = [a for a in arguments if "," not in a and "(" not in a]
        loader: Any = QuickLoader(GlobalHydra.instance().config_loader())
        master = loader.load_sweep(["hydra/sweeper=optuna_resumable", *defaults, *own, *plain])
        settings = {str(k): v for k, v in master.hydra.sweeper.items() if k != "_target_"}
        sweeper = OptunaResumable(**settings)
        _hide_passwords(master)
        sweeper.master = master
        sweeper.context = HydraContext(config_loader=loader, callbacks=Callbacks())
        launcher = FakeLauncher(tmp_path / sweep, metric, ends or {})
        if launchers is not None:
            launchers.append(launcher)
        sweeper.job_launcher = launcher  # type: ignore[assignment]
        sweeper.sweep(arguments)
        return launcher

    with initialize_config_dir(CONF):
        yield run
