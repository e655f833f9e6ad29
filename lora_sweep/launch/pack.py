"""The launcher `pack`: the jobs of a multirun train together, over one frozen base.

    python -m lora_sweep --multirun hydra/launcher=pack hydra.launcher.pack_size=8 ...

Compatible jobs are trained in packs first: here, or by the workers of an executor. Then each is
run as Hydra's own launcher runs a job, with folder, callbacks and status, and returns what its
training came to.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from lora_sweep.config.run import RunConfig, to_run_config
from lora_sweep.config.store import task_config
from lora_sweep.execution.protocols import Executor, StopPolicy
from lora_sweep.launch.asked_runs import add_runs, command_to_list
from lora_sweep.launch.cells import Cell, job_title
from lora_sweep.launch.composing import Composer, pickled
from lora_sweep.launch.executors.engine import AUTO, DEFAULTS, Engine
from lora_sweep.launch.executors.submitit import SubmititExecutor
from lora_sweep.launch.jobs_under_way import NumberedJob, Result, WorkersUnderWay
from lora_sweep.launch.sweep_report import sweep_report
from lora_sweep.rules import require
from lora_sweep.vocabulary import GRIDS

log = logging.getLogger(__name__)

_WAIT = "hydra.launcher.wait"
Typed = RunConfig | Exception


class PackLauncher(Launcher):
    """Trains the jobs of a multirun in packs.

    Attributes:
        engine: who trains the packs.
    """

    def __init__(
        self,
        pack_size: int | str = "auto",
        executor: str = "local",
        *,
        devices: Any = AUTO,
        packs_per_device: int = 1,
        wait: bool = True,
        **settings: Any,
    ) -> None:
        """Takes what stands under `hydra.launcher`.

        Args:
            pack_size: most runs that train at once; `auto` for as many as pay off.
            executor: who trains the packs: `local`, `joblib`, `submitit` or `ray`.
            devices: of `local`, as in `Engine`.
            packs_per_device: of `local`, as in `Engine`.
            wait: for the packs' end; else the command returns when all are queued.
            settings: of `joblib`, `submitit` and `ray`, each one's own.

        Raises:
            SettingError: one breaks its rule, or the executor's package is not installed.
        """
        is_size = isinstance(pack_size, int) and pack_size >= 1
        rule = "auto, or an integer of at least 1"
        require(is_size or pack_size == "auto", "hydra.launcher.pack_size", rule, pack_size)
        self.pack_size = pack_size if isinstance(pack_size, int) else None
        devices, settings = _plain(devices), _plain(settings)
        self.engine = Engine(executor, devices, packs_per_device, settings)
        require(isinstance(wait, bool), _WAIT, "true or false", wait)
        rule = "true unless hydra.launcher.executor=submitit"
        require(wait or executor == "submitit", _WAIT, rule, f"false with {executor}")
        self.waits = wait
        self._cells: dict[tuple[str, ...], Cell] = {}
        self._stop_policy: StopPolicy | None = None
        self._together = 1

    @cached_property
    def executor(self) -> Executor | None:
        """Who trains the packs of all launches; None for this process."""
        report = None if self.waits else sweep_report(self.config)
        at_end = None if report is None else report.show_if_over
        return self.engine.executor(Path(str(self.config.hydra.sweep.dir)), at_end)

    @property
    def trains_here(self) -> bool:
        """Whether runs train on this machine's devices."""
        return self.engine.name in ("local", "joblib")

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what Hydra gives; called by Hydra.

        Raises:
            SettingError: packs are not to be waited for, but the sweeper needs their results.
        """
        self.context, self.config = hydra_context, config
        if not self.waits:
            sweeper = str(config.hydra.runtime.choices["hydra/sweeper"])
            rule = f"true unless hydra/sweeper={GRIDS}, whose runs are all known beforehand"
            require(sweeper == GRIDS, _WAIT, rule, f"false with {sweeper}")
            batch = config.hydra.sweeper.max_batch_size
            require(batch is None, _WAIT, "true with hydra.sweeper.max_batch_size", "false")
        self._composer = Composer(hydra_context, config)

    def expect(self, cells: Sequence[Cell], *, stop_policy: StopPolicy | None) -> None:
        """Takes what a sweeper of ours knows of the jobs that it launches next.

        Args:
            cells: of these jobs, which are not composed again; the seeds of a cell are kept in
                one pack where it can be.
            stop_policy: decides which runs end early; None for none.
        """
        self._cells |= {cell.overrides: cell for cell in cells}
        self._together = max(len(cell.runs) for cell in cells)
        self._stop_policy = stop_policy

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Trains the jobs and returns Hydra's record of each, in order; called by the sweeper."""
        setup_globals()
        self._configure_log(self.config.hydra.hydra_logging)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        jobs = [
            self._job(overrides, initial_job_idx + i) for i, overrides in enumerate(job_overrides)
        ]
        for overrides, (job, _) in zip(job_overrides, jobs, strict=True):
            log.info("\t#%d : %s", job.number, job_title(self.config, overrides))
        results = self._train([typed for _, typed in jobs])
        return [
            self._return(job.config(), result)
            for (job, _), result in zip(jobs, results, strict=True)
        ]

    @contextmanager
    def workers(
        self, *, together: int, stop_policy: StopPolicy | None
    ) -> Iterator[WorkersUnderWay]:
        """Yields the executor's workers, which take jobs while others train.

        Args:
            together: runs of a cell, which are kept in one pack where it can be.
            stop_policy: decides which runs end early; None for none.

        Raises:
            StoppedError: a signal came; all that trained is saved.
        """
        from lora_sweep.execution.cells_under_way import CellsUnderWay
        from lora_sweep.execution.group import Options
        from lora_sweep.execution.workers import dispatching

        setup_globals()
        self._configure_log(self.config.hydra.job_logging)
        options = Options(
            self.pack_size, together, stop_policy, executor=self.executor, n_workers=1
        )

        def job_return(job: DictConfig, result: Result) -> JobReturn:
            done = self._return(job, result)
            self._configure_log(self.config.hydra.job_logging)  # whose level workers are sent
            return done

        with dispatching(options) as dispatch:
            yield WorkersUnderWay(CellsUnderWay(dispatch, options), job_return)

    def _job(self, overrides: Sequence[str], number: int) -> tuple[NumberedJob, Typed]:
        """A job, and the typed config of its cell or what is wrong with it."""
        cell = self._cells.pop(tuple(overrides), None)
        if cell is not None:
            return NumberedJob.of(cell, number), cell.config
        job = NumberedJob(pickled(self._composer.compose(overrides)), number)
        return job, _typed(job.config())

    def _train(self, configs: Sequence[Typed]) -> list[Result]:
        """Each job's objective, or the error that it ended in."""
        from lora_sweep.execution.execute import run_cells
        from lora_sweep.execution.group import Options

        self._configure_log(self.config.hydra.job_logging)
        cells = [config for config in configs if isinstance(config, RunConfig)]
        if (command := command_to_list(self.config)) is not None:
            add_runs(command, cells)  # before they train: a status asks for them meanwhile
        options = Options(
            self.pack_size,
            self._together,
            self._stop_policy,
            executor=self.executor,
            leave=None if self.waits else cast(SubmititExecutor, self.executor).describe_queue,
        )
        trained = iter(run_cells(cells, options))
        return [next(trained) if isinstance(c, RunConfig) else c for c in configs]

    def _return(self, job: DictConfig, result: Result) -> JobReturn:
        def objective(_: DictConfig) -> float:
            if isinstance(result, Exception):
                raise result
            return result

        done = run_job(
            hydra_context=self.context,
            task_function=objective,
            config=job,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        done.cfg = done.hydra_cfg = None  # of thousands of jobs they would fill the memory
        self._configure_log(self.config.hydra.hydra_logging)
        return done

    def _configure_log(self, settings: DictConfig) -> None:
        """Job logging and Hydra's own take turns, as with Hydra's launcher."""
        configure_log(
            settings,
            self.config.hydra.verbose,
            execution_whitelist=self.context.execution_whitelist,
        )


def register() -> None:
    """Makes the launcher known to Hydra as `hydra/launcher=pack`."""
    Plugins.instance().register(PackLauncher)
    ConfigStore.instance().store(
        group="hydra/launcher",
        name="pack",
        node=OmegaConf.create(
            {
                "_target_": f"{PackLauncher.__module__}.{PackLauncher.__name__}",
                "pack_size": "auto",
                "executor": "local",
                "devices": AUTO,
                "packs_per_device": 1,
                "wait": True,
                **DEFAULTS,
            }
        ),
        provider="lora_sweep",
    )


def _plain(settings: Any) -> Any:
    """Settings without OmegaConf's types."""
    return OmegaConf.to_container(OmegaConf.create({"it": settings}), resolve=True)["it"]  # type: ignore[index, call-overload]


def _typed(job: DictConfig) -> Typed:
    try:
        return to_run_config(task_config(job))
    except Exception as error:
        return error
