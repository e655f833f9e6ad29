"""What our sweepers ask of a launcher: the one place that knows what a stock one can't do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

from lora_sweep.execution.protocols import StopPolicy
from lora_sweep.launch.cells import Cell, naming
from lora_sweep.launch.jobs_under_way import BatchUnderWay, JobsUnderWay
from lora_sweep.launch.pack import PackLauncher
from lora_sweep.rules import require


class CellLauncher:
    """Runs cells by a launcher of Hydra's, or in packs by ours."""

    def __init__(self, launcher: Launcher) -> None:
        """Takes the launcher that Hydra has made."""
        self._launcher = launcher
        self._packs = launcher if isinstance(launcher, PackLauncher) else None

    @property
    def can_stop_early(self) -> bool:
        """Whether it can end runs in the middle of their training."""
        return self._packs is not None

    def check(self, cell: Cell) -> None:
        """Checks that base, corpus and, where it trains on this machine, device of a cell fit.

        Raises:
            LoraSweepError: one is not; the message says what to do.
        """
        from lora_sweep.execution.execute import check_inputs

        with naming(cell.title):
            trains_here = self._packs is None or self._packs.trains_here
            check_inputs(cell.config, trains_here=trains_here)

    def check_trials(self, cell: Cell, pruner: str) -> None:
        """Checks that all runs of a trial may train in one pack, where a pruner looks at them.

        Args:
            cell: of the trial.
            pruner: its name.

        Raises:
            LoraSweepError: they may not; the message says what to do.
        """
        from lora_sweep.execution.inputs import can_pack

        n_runs, size = len(cell.runs), None if self._packs is None else self._packs.pack_size
        rule = f"auto, or at least n_seeds={n_runs} with pruner={pruner}: it judges whole trials"
        require(size is None or size >= n_runs, "hydra.launcher.pack_size", rule, size)
        base = cell.config.model.name
        rule = (
            f"1 with pruner={pruner} where runs train one at a time, as over {base} with dropout"
        )
        require(n_runs == 1 or can_pack(cell.config), "n_seeds", rule, n_runs)

    def n_together(self, n_jobs: int) -> int:
        """Returns how many of the jobs under way come and train together, at least 1.

        All where they are one launch; where an executor's workers train packs, as many as each
        worker gets.

        Args:
            n_jobs: under way at once.
        """
        workers = None if self._packs is None else self._packs.executor
        return n_jobs if workers is None else max(1, n_jobs // workers.capacity)

    @contextmanager
    def open(
        self, *, n_runs: int, stop_policy: StopPolicy | None = None
    ) -> Iterator[JobsUnderWay]:
        """Yields what takes jobs while others train.

        Args:
            n_runs: of a cell.
            stop_policy: as for `launch`.
        """
        if self._packs is None or self._packs.executor is None:
            yield BatchUnderWay(partial(self.launch, stop_policy=stop_policy))
            return
        with self._packs.workers(together=n_runs, stop_policy=stop_policy) as workers:
            yield workers

    def launch(
        self, cells: Sequence[Cell], first: int, stop_policy: StopPolicy | None = None
    ) -> Sequence[JobReturn]:
        """Runs cells and returns Hydra's record of each, in order.

        Args:
            cells: one a job.
            first: number of the first job; the others follow.
            stop_policy: may end runs early; None for none, and without effect unless
                `can_stop_early`.
        """
        if self._packs is not None:
            self._packs.expect(cells, stop_policy=stop_policy)
        return self._launcher.launch([list(cell.overrides) for cell in cells], first)
