"""The Hydra callback that ends every sweep with its report."""

import logging
import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lora_sweep.errors import LoraSweepError, ReportError, SettingError, SweepFailedError
from lora_sweep.launch import resolve
from lora_sweep.launch.command_errors import note
from lora_sweep.launch.last_words import next_lines, print_unbroken
from lora_sweep.launch.sweep_report import SweepReport
from lora_sweep.report.compare.question import Question
from lora_sweep.rules import require

log = logging.getLogger(__name__)
_NAME = "hydra.callbacks.report"


class WriteReport(Callback):
    """Writes and prints the sweep's tables when a multirun ends, also when runs failed."""

    def __init__(
        self,
        question: str = "tuned",
        equivalence_points: float = 0.5,
        difference_points: float = 2.0,
        *,
        figures: bool = True,
        page: bool = True,
    ) -> None:
        """Takes what stands under `hydra.callbacks.report`.

        Args:
            question: of an init with several settings: `tuned` or `mean`.
            equivalence_points: difference that is as good as none, percent points of the metric.
            difference_points: the difference that one would like to find.
            figures: whether pictures are drawn.
            page: whether report.html is written.

        Raises:
            SettingError: one breaks its rule.
        """
        require(isinstance(figures, bool), f"{_NAME}.figures", "true or false", figures)
        require(isinstance(page, bool), f"{_NAME}.page", "true or false", page)
        try:
            self.question = Question(question, equivalence_points, difference_points)
        except SettingError as error:
            raise SettingError(f"{_NAME}.{error}") from None
        self.figures, self.page = figures, page

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra after the last job, or when the sweep can't go on."""
        stopped_by = sys.exc_info()[1]
        if stopped_by is not None and not isinstance(stopped_by, SweepFailedError):
            return  # stopped in the middle: the same command will end with the report
        try:
            self._report(config)
        except BrokenPipeError as error:  # the report is written; whoever read the tables has left
            note(error)
        except Exception as error:  # Hydra would make a mere warning of it
            kind = "" if isinstance(error, LoraSweepError) else f"{type(error).__name__}: "
            failed = ReportError(f"the runs are kept, but the report failed: {kind}{error}")
            failed.__cause__ = error
            if stopped_by is not None:  # which is what the command will say
                log.error("%s", failed)
            note(failed)

    def _report(self, config: DictConfig) -> None:
        report = SweepReport.of(config, self.question, figures=self.figures, page=self.page)
        if not report.has_begun:
            return
        best = report.show()
        for name, run in best.items():
            print_unbroken(next_lines(run, of=name if len(best) > 1 else report.sweep_dir.name))
        if config.hydra.runtime.choices["hydra/sweeper"] == resolve.NAME:
            print_unbroken(resolve.last_lines(config))
