"""The sweeper `resolve`: adds seeds to the comparisons that are open, until each is resolved.

    python -m lora_sweep.resolve outputs/SWEEP --max-seeds 30

runs the sweep's own command with this sweeper. Before its first look it writes down what is
compared and when it looks (`resolve.json`), and keeps to that: looks cost level, and their price
must be known beforehand. A comparison that is closed trains no more. Killed, or started from
several processes, it goes on from the runs that are there.
"""

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from lora_sweep.errors import SettingError
from lora_sweep.launch.cells import Cell, command_line, compose_cell
from lora_sweep.launch.composing import Composer
from lora_sweep.launch.grids import GridSweeper
from lora_sweep.report.compare.plan import LOOKS, Plan, write_plan
from lora_sweep.report.compare.question import Question
from lora_sweep.rules import require
from lora_sweep.store.scope import Scope
from lora_sweep.store.sweep_list import add_to_sweep, read_asked, read_sweep

log = logging.getLogger(__name__)

NAME = "resolve"
_SEEDS = ("seed", "n_seeds")


class ResolveSweeper(GridSweeper):
    """Trains seeds look by look, of the arms whose comparisons are open."""

    def __init__(
        self,
        max_seeds: int = LOOKS[-1],
        looks: Sequence[int] | None = None,
        *,
        any_time: bool = False,
        max_runs: int | None = None,
        max_hours: float | None = None,
        **settings: Any,
    ) -> None:
        """Takes what stands under `hydra.sweeper`.

        Args:
            max_seeds: of the last look.
            looks: seeds at each look, in place of 5, 8, 12, 16, 20, 25, 30.
            any_time: look after every seed, by intervals that hold at all times.
            max_runs: runs that this command may train; None for any number.
            max_hours: after which no look is prepared any more; None for no limit.
            settings: as of `GridSweeper`.
        """
        super().__init__(**settings)
        is_number = isinstance(max_seeds, int) and not isinstance(max_seeds, bool)
        require(
            is_number and max_seeds >= 3, "hydra.sweeper.max_seeds", "3 or more seeds", max_seeds
        )
        self.max_seeds = max_seeds
        planned = tuple(looks or (n for n in LOOKS if n < max_seeds))
        self.looks = planned if looks else (*planned, max_seeds)
        self.any_time, self.max_runs, self.max_hours = any_time, max_runs, max_hours

    def sweep(self, arguments: list[str]) -> list[Any]:
        """Trains until every comparison is resolved or the budget is spent.

        Raises:
            SettingError: there is nothing to compare, or the plan is another one than before.
            LoraSweepError: as in `GridSweeper`.
            SweepFailedError: some runs failed; they count as failed.
        """
        started, results = time.monotonic(), list[JobReturn]()
        asked = _Asked(self, arguments)
        plan, arm_of_cell = self._plan(asked)
        n, arms = self._next_look(asked, plan)
        while n is not None:
            cells = [cell for cell in asked.cells(n) if arm_of_cell[_key(cell)] in arms]
            if (spent := self._spent(started, len(results), len(cells))) is not None:
                log.info("%s: a look at %d seeds is not made", spent, n)
                break
            log.info("for a look at %d seeds: %d runs", n, len(cells))
            asked.list_runs(cells)
            results += self._launch(cells)
            made, (n, arms) = n, self._next_look(asked, plan)
            if n == made:
                raise SettingError(
                    f"the runs for a look at {n} seeds must have ended, but some are open: see "
                    f"python -m lora_sweep.status {self.sweep_dir}"
                )
        return [result._return_value for result in results]

    def _plan(self, asked: "_Asked") -> tuple[Plan, dict[str, str]]:
        """The plan, kept before the first look; and of each cell the name of its arm."""
        cells = asked.cells(self.looks[0])
        asked.list_runs(cells)
        from lora_sweep.report.table.collect import collect_runs
        from lora_sweep.report.table.planned import planned_rows

        rows, pairs = planned_rows(collect_runs(self.sweep_dir, scope=asked.scope))
        require(
            bool(pairs),
            "the sweep",
            "one of inits and fixed ranks over the same corpus (add init=fixed)",
            f"{', '.join(rows)} alone",
        )
        question = Question(**_question(self.master))
        plan = Plan(question, pairs, asked.first_seed, self.looks, self.any_time)
        arm_of_folder = {
            folder: name for name, own in rows.items() for folder in own["folder"].tolist()
        }
        arm_of_cell = {_key(cell): arm_of_folder[next(iter(cell.runs))] for cell in cells}
        return write_plan(self.sweep_dir, plan), arm_of_cell

    def _next_look(self, asked: "_Asked", plan: Plan) -> tuple[int | None, list[str]]:
        """Seeds of the next look, None where there is none; and the arms that it needs."""
        from lora_sweep.report.compare.looks import look
        from lora_sweep.report.table.collect import collect_runs
        from lora_sweep.report.table.planned import planned_arms

        progress = look(plan, planned_arms(collect_runs(self.sweep_dir, scope=asked.scope)))
        n = progress.next_look
        return (None if n is None or n > self.max_seeds else n), progress.open_arms(plan)

    def _spent(self, started: float, n_trained: int, n_more: int) -> str | None:
        """What is spent, in words; None as long as there is budget for so many more runs."""
        if self.max_runs is not None and n_trained + n_more > self.max_runs:
            return f"{n_trained} of {self.max_runs} runs are asked for, {n_more} more are needed"
        hours = (time.monotonic() - started) / 3600
        if self.max_hours is not None and hours >= self.max_hours:
            return f"{self.max_hours:g} hours are over"
        return None


class _Asked:
    """The sweep's own command: its cells at as many seeds as are wanted."""

    def __init__(self, sweeper: ResolveSweeper, arguments: Sequence[str]) -> None:
        self.sweeper = sweeper
        parser = OverridesParser.create(config_loader=sweeper.context.config_loader)
        keys = [one.get_key_element() for one in parser.parse_overrides(list(arguments))]
        self.own = [a for a, key in zip(arguments, keys, strict=True) if key not in _SEEDS]
        self.command = command_line(sweeper.master, arguments)
        for grid in sweeper.grids:
            for name in _SEEDS:
                grid.pop(name, None)
        self.composer = Composer(sweeper.context, sweeper.master)
        known = read_sweep(sweeper.sweep_dir).values()
        self.first_seed = min((int(settings["seed"]) for settings in known), default=0)

    @property
    def scope(self) -> Scope:
        """The runs that the resolve has asked for."""
        return Scope(self.command)

    def list_runs(self, cells: Sequence[Cell]) -> None:
        """Lists these runs beside those that the resolve has asked for before."""
        runs = {name: settings for cell in cells for name, settings in cell.runs.items()}
        earlier = read_asked(self.sweeper.sweep_dir, self.command) or {}
        add_to_sweep(self.sweeper.sweep_dir, runs, self.command, earlier=earlier)

    def cells(self, n: int) -> list[Cell]:
        """One cell for each job and each of the first n seeds."""
        seeds = ",".join(str(seed) for seed in range(self.first_seed, self.first_seed + n))
        runs = self.sweeper._runs([*self.own, f"seed={seeds}", "n_seeds=1"])
        cells = [compose_cell(self.composer, run) for run in runs]
        return list({next(iter(cell.runs)): cell for cell in cells}.values())


def _key(cell: Cell) -> str:
    """What a cell's runs of all seeds share."""
    (settings,) = cell.runs.values()
    return json.dumps({**settings, "seed": None}, sort_keys=True, default=str)


def _question(master: DictConfig) -> dict[str, Any]:
    """What the report's callback asks."""
    asked = master.hydra.callbacks.report
    return {
        "settings": asked.question,
        "equivalence_points": asked.equivalence_points,
        "difference_points": asked.difference_points,
    }


def register() -> None:
    """Makes the sweeper known to Hydra as `hydra/sweeper=resolve`."""
    Plugins.instance().register(ResolveSweeper)
    ConfigStore.instance().store(
        group="hydra/sweeper",
        name=NAME,
        node=OmegaConf.create(
            {
                "_target_": f"{ResolveSweeper.__module__}.{ResolveSweeper.__name__}",
                "max_seeds": LOOKS[-1],
                "looks": None,
                "any_time": False,
                "max_runs": None,
                "max_hours": None,
                "max_batch_size": None,
                "params": None,
                "grids": None,
            }
        ),
        provider="lora_sweep",
    )
