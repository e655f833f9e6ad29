"""Cells that come while others train: each is through when all of its runs have an outcome."""

from collections.abc import Mapping

from lora_sweep.config.run import RunConfig
from lora_sweep.execution.dispatch import Dispatch
from lora_sweep.execution.execute import CellRuns, cell_result, prepare_cells
from lora_sweep.execution.group import Options


class CellsUnderWay:
    """Cells of one sweep that an executor's workers train, each under a number."""

    def __init__(self, dispatch: Dispatch, options: Options) -> None:
        """Has no cells yet.

        Args:
            dispatch: hands their packs to the workers.
            options: the same as the dispatch's.
        """
        self._dispatch, self._options = dispatch, options
        self._cells: dict[int, CellRuns | Exception] = {}

    def add(self, configs: Mapping[int, RunConfig]) -> None:
        """Takes cells, whose runs train together where they can.

        Args:
            configs: number of each cell, which no cell under way has -> its config.

        Raises:
            RecordError: base model, corpus or code have changed since the sweep was started.
            StorageError: something can't be written.
        """
        cells, jobs = prepare_cells(list(configs.values()), self._options)
        self._cells |= dict(zip(configs, cells, strict=True))
        if jobs:
            self._dispatch.add(jobs)

    def ended(self) -> dict[int, float | Exception]:
        """Returns the result of each cell that is through by now; waits a moment for one.

        A result is the median reported metric over the cell's seeds, or the error that it ended
        in.

        Raises:
            StoppedError: a signal came; the workers have saved.
            StorageError: something can't be written.
        """
        for name, outcome in self._dispatch.turn().items():
            for runs in self._cells.values():
                if isinstance(runs, dict) and name in runs:
                    runs[name] = outcome
        through = {
            number: cell
            for number, cell in self._cells.items()
            if isinstance(cell, Exception) or None not in cell.values()
        }
        for number in through:
            del self._cells[number]
        return {
            number: cell if isinstance(cell, Exception) else cell_result(cell)
            for number, cell in through.items()
        }
