"""Trials as jobs: their cells, which are listed in the sweep, and the launcher that runs them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_sweep.launch.cell_launcher import CellLauncher
from lora_sweep.launch.cells import Cell, compose_cell
from lora_sweep.launch.composing import Composer
from lora_sweep.store.sweep_list import add_to_sweep


@dataclass(frozen=True)
class Jobs:
    """How a search starts jobs.

    Attributes:
        composer: of the sweep.
        launcher: that runs them.
        fixed: overrides of every job.
        command: that started the search, for the sweep's list.
    """

    composer: Composer
    launcher: CellLauncher
    fixed: Sequence[str]
    command: str

    @property
    def sweep_dir(self) -> Path:
        """Where the runs' folders lie."""
        return Path(str(self.composer.master.hydra.sweep.dir))

    def cell(self, params: Mapping[str, Any], **more: int) -> Cell:
        """Returns the cell of proposed settings.

        Args:
            params: setting -> value.
            more: further settings, of a second look.

        Raises:
            LoraSweepError: the settings break a rule.
        """
        proposed = {**params, **more}
        own = [f"{name}={value}" for name, value in proposed.items()]
        fixed = [one for one in self.fixed if one.partition("=")[0] not in proposed]
        return compose_cell(self.composer, [*fixed, *own])

    def folders(self, cell: Cell) -> list[Path]:
        """Returns the folders of a cell's runs, in order of seeds."""
        return [self.sweep_dir / name for name in cell.runs]

    def take_over(self, earlier: Sequence[str]) -> None:
        """Lists what a search has run so far as asked for by this command too."""
        if earlier:
            add_to_sweep(self.sweep_dir, {}, self.command, earlier=earlier)

    def list_runs(self, cells: Iterable[Cell], earlier: Iterable[str]) -> None:
        """Lists the cells' runs beside those that the search has asked for so far.

        Args:
            cells: of jobs to start.
            earlier: names of the search's run folders so far.
        """
        runs = {name: own for cell in cells for name, own in cell.runs.items()}
        add_to_sweep(self.sweep_dir, runs, self.command, earlier=earlier)
