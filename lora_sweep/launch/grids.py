"""The sweeper `grids`: a sweep is a union of products, all its runs known before one starts.

Hydra's own sweeper knows one product of axes. A study needs more: its baselines have no learning
rate to sweep. Here `hydra.sweeper.grids` lists several products:

    grids:
      - {init: "uniform,randn", lr: "0.001,0.002", seed: "0,1,2"}
      - {init: fixed, rank: fixed_20, seed: "0,1,2"}

An axis on the command line replaces the axis of that name in every grid that sweeps it, and joins
those that don't name it; what a grid pins to one value stays. What all of them pin is refused on
the command line. Without grids, the command line's product is the sweep, as with Hydra's own.

Every run is composed and checked before any is trained, those that come to the same run are
started once, and the list of runs is left in the sweep's folder.
"""

import itertools
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from lora_sweep.error_lines import first_line
from lora_sweep.errors import (
    ClaimedElsewhereError,
    LoraSweepError,
    SettingError,
    SweepFailedError,
)
from lora_sweep.launch.cell_launcher import CellLauncher
from lora_sweep.launch.cells import Cell, command_line, compose_cell
from lora_sweep.launch.composing import Composer
from lora_sweep.rules import MOST_JOBS, require
from lora_sweep.store.sweep_list import add_to_sweep
from lora_sweep.vocabulary import GRIDS
from lora_sweep.words import counted

log = logging.getLogger(__name__)

NAME = GRIDS
SETTINGS: dict[str, Any] = dict.fromkeys(("max_batch_size", "params", "grids"))
"""What stands under `hydra.sweeper`, null where the command does not say it."""
WAIT_SECONDS = 5.0


class GridSweeper(Sweeper):
    """Lists the runs of all grids, checks them, and hands them to the launcher."""

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
        grids: list[dict[str, str]] | None = None,
    ) -> None:
        """Takes what stands under `hydra.sweeper`.

        Args:
            max_batch_size: runs handed to the launcher at once; None for all.
            params: axes of every grid, as in Hydra's own sweeper.
            grids: products of axes, option name -> comma-separated values.
        """
        is_size = isinstance(max_batch_size, int) and max_batch_size >= 1
        rule = "null, or an integer of at least 1"
        is_known = max_batch_size is None or is_size
        require(is_known, "hydra.sweeper.max_batch_size", rule, max_batch_size)
        self.max_batch_size = max_batch_size
        self.params = dict(params or {})
        self.grids = [dict(grid) for grid in grids or []]

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Makes the launcher; called by Hydra."""
        self.master = config
        self.context = hydra_context
        self.job_launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @property
    def sweep_dir(self) -> Path:
        """Where the list of runs and the run folders lie."""
        return Path(str(self.master.hydra.sweep.dir))

    def sweep(self, arguments: list[str]) -> list[Any]:
        """Runs the sweep and returns its objectives, one a started job.

        Raises:
            LoraSweepError: a run's settings or inputs are wrong; then nothing was started.
            SweepFailedError: some runs failed; all others were trained.
        """
        sweep_dir = self.sweep_dir
        cells = self._distinct(self._runs(arguments))
        runs = {name: settings for cell in cells for name, settings in cell.runs.items()}
        add_to_sweep(sweep_dir, runs, command_line(self.master, arguments))
        log.info("%s in %s", counted(len(runs), "run"), sweep_dir)
        results = self._launch(cells)
        raise_failures(results, [cell.title for cell in cells], sweep_dir)
        return [result.return_value for result in results]

    def _launch(self, cells: Sequence[Cell]) -> list[JobReturn]:
        """Hydra's record of each cell; those that another process trains are come back to."""
        launcher = CellLauncher(self.job_launcher)
        done: dict[int, JobReturn] = {}
        while len(done) < len(cells):
            left = [number for number in range(len(cells)) if number not in done]
            size = self.max_batch_size or len(left)
            for start in range(0, len(left), size):
                batch = left[start : start + size]
                launched = launcher.launch([cells[number] for number in batch], batch[0])
                done |= {
                    number: job
                    for number, job in zip(batch, launched, strict=True)
                    if not isinstance(job._return_value, ClaimedElsewhereError)
                }
            if len(done) < len(cells):
                log.info("other processes train %s", counted(len(cells) - len(done), "job"))
                time.sleep(WAIT_SECONDS)
        return [done[number] for number in range(len(cells))]

    def _runs(self, arguments: list[str]) -> list[list[str]]:
        parser = OverridesParser.create(config_loader=self.context.config_loader)
        given = parser.parse_overrides(arguments)
        if not self.grids:
            return product_of([*self._parse(parser, self.params), *given])
        grids = [[*self._parse(parser, self.params | grid)] for grid in self.grids]
        return runs_of_grids(grids, given)

    def _parse(self, parser: OverridesParser, axes: dict[str, str]) -> list[Override]:
        return parser.parse_overrides([f"{name}={values}" for name, values in axes.items()])

    def _distinct(self, runs: Sequence[list[str]]) -> list[Cell]:
        """Each different job's cell."""
        composer = Composer(self.context, self.master)
        launcher, cells = CellLauncher(self.job_launcher), dict[str, Cell]()
        without_effect: dict[str, None] = {}
        for cell in [compose_cell(composer, run) for run in runs]:
            first = cells.setdefault(" ".join(cell.runs), cell)
            if first is cell:
                launcher.check(cell)
            without_effect |= dict.fromkeys(differing_axes(first.overrides, cell.overrides))
        if len(cells) < len(runs):
            said = (
                f" (without effect on them: {', '.join(without_effect)})" if without_effect else ""
            )
            n_repeated = len(runs) - len(cells)
            log.info("%d of %d runs come to a run already listed%s", n_repeated, len(runs), said)
        return list(cells.values())


def register() -> None:
    """Makes the sweeper known to Hydra as `hydra/sweeper=grids`."""
    register_sweeper(NAME, GridSweeper, SETTINGS)


def register_sweeper(name: str, sweeper: type[Sweeper], settings: Mapping[str, Any]) -> None:
    """Makes a sweeper known to Hydra as `hydra/sweeper=NAME`.

    Args:
        name: what chooses it.
        sweeper: of this package.
        settings: what stands under `hydra.sweeper` -> its value, defaults of Hydra's among them.
    """
    Plugins.instance().register(sweeper)
    target = {"_target_": f"{sweeper.__module__}.{sweeper.__name__}"}
    node = OmegaConf.create(target | dict(settings))
    ConfigStore.instance().store(
        group="hydra/sweeper", name=name, node=node, provider="lora_sweep"
    )


def raise_failures(results: Sequence[JobReturn], titles: Sequence[str], sweep_dir: Path) -> None:
    """Says how many jobs failed, and why the first one did.

    Args:
        results: of each job.
        titles: of each job.
        sweep_dir: where the runs' logs lie.

    Raises:
        SweepFailedError: some failed.
    """
    failed = [
        (title, result._return_value)
        for title, result in zip(titles, results, strict=True)
        if result.status is not JobStatus.COMPLETED
    ]
    if failed:
        title, error = failed[0]
        said = first_line(error) if isinstance(error, Exception) else str(error)
        # An error from elsewhere may say little without its kind; one that says nothing is named.
        is_clear = isinstance(error, LoraSweepError) or not str(error)
        kind = "" if is_clear else f"{type(error).__name__}: "
        others = "" if len(failed) == len(results) else ", the others are trained"
        raise SweepFailedError(
            f"{len(failed)} of {counted(len(results), 'job')} failed{others}; the same command "
            f"tries them again\nfirst: {title}\n{kind}{said}\nsee the runs' logs in {sweep_dir}"
        )


def differing_axes(overrides: Sequence[str], others: Sequence[str]) -> list[str]:
    """Returns the names of the settings that two jobs were given differently.

    Args:
        overrides: of one job.
        others: of the other.
    """
    one_sided = [override for override in overrides if override not in others]
    one_sided += [override for override in others if override not in overrides]
    return list(dict.fromkeys(override.partition("=")[0] for override in one_sided))


def product_of(overrides: Sequence[Override]) -> list[list[str]]:
    """Returns one list of overrides for each combination of the axes' values.

    The last axis turns fastest; a later override of the same key replaces an earlier one.

    Args:
        overrides: plain ones (`lr=0.1`) and choice sweeps (`lr=0.1,0.2`, `seed=range(3)`).

    Raises:
        SettingError: an axis has no list of values, e.g. an interval; or they are too many.
    """
    axes = {override.get_key_element(): _values(override) for override in overrides}
    _require_few(math.prod(map(len, axes.values())))
    return [list(run) for run in itertools.product(*axes.values())]


def runs_of_grids(
    grids: Sequence[Sequence[Override]], given: Sequence[Override]
) -> list[list[str]]:
    """Returns the runs of all grids, one grid after the other.

    Args:
        grids: each grid's axes and pinned values.
        given: the command line's: replaces an axis that a grid sweeps, joins a grid that does
            not name it, and leaves what a grid pins to one value.

    Raises:
        SettingError: one of the command line's reaches no grid, an axis has no list of values, or
            they are too many.
    """
    pinned = [{o.get_key_element() for o in grid if not o.is_sweep_override()} for grid in grids]
    for override in given:
        key = override.get_key_element()
        if all(key in names for names in pinned):
            raise SettingError(
                f"{key} must be a setting that some grid of the sweep leaves open, but got "
                f"{override.input_line}, which all of them pin"
            )
    runs = []
    for grid, names in zip(grids, pinned, strict=True):
        own = [override for override in given if override.get_key_element() not in names]
        runs += product_of([*grid, *own])
        _require_few(len(runs))
    return runs


def _values(override: Override) -> list[str]:
    """All `key=value` of one override."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        if override.is_delete():
            return [f"{key}"]
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise SettingError(
            f"{key} must be a list of values (a,b,c or range(...)) in a grid, "
            f"but got {override.input_line}"
        )
    values = itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1)
    listed = [f"{key}={value}" for value in values]
    require(len(listed) <= MOST_JOBS, key, f"of at most {MOST_JOBS} values", override.input_line)
    return listed


def _require_few(n_jobs: int) -> None:
    rule = f"of at most {MOST_JOBS} jobs (n_seeds=N makes N runs of one)"
    require(n_jobs <= MOST_JOBS, "a sweep", rule, n_jobs)
