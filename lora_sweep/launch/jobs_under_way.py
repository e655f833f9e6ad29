"""Jobs that are begun while others train, for a sweeper that learns from those that end."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, open_dict

from lora_sweep.config.run import RunConfig
from lora_sweep.launch.cells import Cell
from lora_sweep.launch.composing import unpickled

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.1
Result = float | Exception


@dataclass(frozen=True)
class NumberedJob:
    """A job as it is kept while it trains: thousands of them are.

    Attributes:
        composed: its whole config, with Hydra's own node, as `pickled` gives it.
        number: of the job.
        folder: name of its run's folder; None if that is not known.
    """

    composed: bytes
    number: int
    folder: str | None = None

    @classmethod
    def of(cls, cell: Cell, number: int) -> "NumberedJob":
        """Returns a cell's job."""
        return cls(cell.composed, number, next(iter(cell.runs)))

    def config(self) -> DictConfig:
        """Returns the whole config, with the number in it."""
        job = unpickled(self.composed)
        with open_dict(job):
            job.hydra.job.id, job.hydra.job.num = str(self.number), self.number
            if self.folder is not None:  # else Hydra would have its name found out once more
                job.hydra.sweep.subdir = self.folder
        return job


class JobsUnderWay(Protocol):
    """Jobs of one launcher, each under its number."""

    def add(self, cells: Mapping[int, Cell]) -> None:
        """Takes jobs.

        Args:
            cells: number of each job, which no job under way has -> its cell.
        """

    def ended(self) -> dict[int, JobReturn]:
        """Returns Hydra's record of each job that has ended by now; waits a moment for one."""


class BatchUnderWay:
    """Jobs that are launched together, and end together."""

    def __init__(self, launch: Callable[[Sequence[Cell], int], Sequence[JobReturn]]) -> None:
        """Takes what runs jobs, numbered from the given one on, and returns at their end."""
        self._launch = launch
        self._cells: dict[int, Cell] = {}

    def add(self, cells: Mapping[int, Cell]) -> None:
        """Takes jobs, which are launched when their end is asked for."""
        self._cells |= cells

    def ended(self) -> dict[int, JobReturn]:
        """Launches all jobs, and returns Hydra's record of each.

        Hydra counts the jobs of a launch up from the first, so jobs whose numbers don't follow on
        each other are launched apart.
        """
        cells, self._cells = self._cells, {}
        if not cells:
            time.sleep(WAIT_SECONDS)
        done: dict[int, JobReturn] = {}
        for numbers in _following(sorted(cells)):
            launched = self._launch([cells[number] for number in numbers], numbers[0])
            done |= dict(zip(numbers, launched, strict=True))
        return done


class Trains(Protocol):
    """Cells that workers train, see `execution.cells_under_way`, whose file loads torch."""

    def add(self, configs: Mapping[int, RunConfig]) -> None:
        """Takes cells."""

    def ended(self) -> dict[int, Result]:
        """Returns the result of each cell that is through by now."""


class WorkersUnderWay:
    """Jobs whose packs workers train: each ends as soon as its own runs have."""

    def __init__(self, cells: Trains, job_return: Callable[[DictConfig, Result], JobReturn]):
        """Takes who trains cells, and what makes Hydra's record of a job and its result."""
        self._trained, self._job_return = cells, job_return
        self._jobs: dict[int, NumberedJob] = {}

    def add(self, cells: Mapping[int, Cell]) -> None:
        """Takes jobs, whose runs train together where they can."""
        for number, cell in cells.items():
            self._jobs[number] = NumberedJob.of(cell, number)
            log.info("\t#%d : %s", number, cell.title)
        self._trained.add({number: cell.config for number, cell in cells.items()})

    def ended(self) -> dict[int, JobReturn]:
        """Returns Hydra's record of each job that is through by now; waits a moment for one.

        Raises:
            StoppedError: a signal came; all that trained is saved.
            StorageError: something can't be written.
        """
        return {
            number: self._job_return(self._jobs.pop(number).config(), result)
            for number, result in self._trained.ended().items()
        }


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
