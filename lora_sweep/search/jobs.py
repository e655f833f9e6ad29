"""Trials as jobs: their cells are listed in the sweep, and handed to the launcher in batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from lora_sweep.execution.protocols import StopPolicy
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

    def launch(
        self,
        cells: Mapping[int, Cell],
        earlier: Iterable[str],
        stop_policy: StopPolicy | None = None,
    ) -> dict[int, JobReturn]:
        """Runs jobs and returns Hydra's record of each.

        Args:
            cells: number of the job -> its cell. Hydra counts the jobs of a launch up from the
                first, so jobs whose numbers don't follow on each other are launched apart.
            earlier: names of the search's run folders so far.
            stop_policy: may end runs early.
        """
        listed = {name: own for cell in cells.values() for name, own in cell.runs.items()}
        add_to_sweep(self.sweep_dir, listed, self.command, earlier=earlier)
        done: dict[int, JobReturn] = {}
        for numbers in _following(sorted(cells)):
            jobs = [cells[number] for number in numbers]
            launched = self.launcher.launch(jobs, numbers[0], stop_policy)
            done |= dict(zip(numbers, launched, strict=True))
        return done


def _following(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Splits ascending numbers where one is left out."""
    group: list[int] = []
    for number in numbers:
        if group and number != group[-1] + 1:
            yield group
            group = []
        group.append(number)
    if group:
        yield group
