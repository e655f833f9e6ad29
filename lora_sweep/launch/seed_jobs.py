"""A sweep's own command with other seeds: its cells at as many seeds as a resolve wants."""

import json
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from lora_sweep.launch.cells import Cell, command_line, compose_cell
from lora_sweep.launch.composing import Composer
from lora_sweep.launch.grids import GridSweeper
from lora_sweep.store.scope import Scope
from lora_sweep.store.sweep_list import add_to_sweep, read_sweep

_SEEDS = ("seed", "n_seeds")


class SeedJobs:
    """The jobs of a sweep, whatever seeds its command names.

    Attributes:
        first_seed: the lowest that the sweep was asked for with.
        command: as the sweep's list names it.
    """

    def __init__(self, sweeper: GridSweeper, arguments: Sequence[str]) -> None:
        """Takes the seeds out of the command, and out of the sweeper's grids and axes."""
        self._sweeper = sweeper
        self.command = command_line(sweeper.master, arguments)
        self.first_seed = self._first_seed(arguments)
        parser = OverridesParser.create(config_loader=sweeper.context.config_loader)
        keys = [one.get_key_element() for one in parser.parse_overrides(list(arguments))]
        self._own = [a for a, key in zip(arguments, keys, strict=True) if key not in _SEEDS]
        for axes in (sweeper.params, *sweeper.grids):
            for name in _SEEDS:
                axes.pop(name, None)

    @property
    def scope(self) -> Scope:
        """The runs that the resolve has asked for."""
        return Scope(self.command)

    def cells(self, seeds: range) -> list[Cell]:
        """Returns one cell for each job and seed, their inputs checked.

        Args:
            seeds: at least one.

        Raises:
            LoraSweepError: settings or inputs are wrong.
        """
        axes = f"seed={','.join(map(str, seeds))}"
        return self._sweeper._distinct(self._sweeper._runs([*self._own, axes, "n_seeds=1"]))

    def list_runs(self, cells: Sequence[Cell]) -> None:
        """Lists the cells' runs beside those that the resolve has asked for before."""
        runs = {name: settings for cell in cells for name, settings in cell.runs.items()}
        add_to_sweep(self._sweeper.sweep_dir, runs, self.command, grows=True)

    def _first_seed(self, arguments: Sequence[str]) -> int:
        """Of these runs in the sweep's list; of the command where none is listed."""
        composer = Composer(self._sweeper.context, self._sweeper.master)
        asked = [
            settings
            for run in self._sweeper._runs(list(arguments))
            for settings in compose_cell(composer, run).runs.values()
        ]
        own = {_without_seed(settings) for settings in asked}
        listed = read_sweep(self._sweeper.sweep_dir).values()
        known = [settings for settings in listed if _without_seed(settings) in own]
        return min(int(settings["seed"]) for settings in known or asked)


def job_of(cell: Cell) -> tuple[str, ...]:
    """Returns what the cells of a job have in common at all seeds."""
    return tuple(one for one in cell.overrides if not one.startswith("seed="))


def _without_seed(settings: dict[str, Any]) -> str:
    return json.dumps({**settings, "seed": None}, sort_keys=True, default=str)
