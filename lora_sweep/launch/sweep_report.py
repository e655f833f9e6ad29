"""The report that ends a sweep: by the command that waits for it, or by the job that ends last."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from lora_sweep import slurm
from lora_sweep.launch.cells import command_line
from lora_sweep.report.compare.question import Question, write_question
from lora_sweep.store.pack_jobs import PackJobs
from lora_sweep.store.scope import Scope, runs_meant
from lora_sweep.store.state import SETTINGS_FILE, is_done


@dataclass(frozen=True)
class SweepReport:
    """What is reported of a sweep; picklable.

    Attributes:
        sweep_dir: its folder.
        command: that asked for its runs.
        question: what it was run for.
        figures: whether pictures are drawn.
        page: whether report.html is written.
        folder: where relative paths start from.
    """

    sweep_dir: Path
    command: str
    question: Question
    figures: bool
    page: bool
    folder: str

    @classmethod
    def of(
        cls, config: DictConfig, question: Question, *, figures: bool, page: bool
    ) -> "SweepReport":
        """Returns the report of the sweep that this config is of."""
        return cls(
            sweep_dir=Path(str(config.hydra.sweep.dir)),
            command=command_line(config, list(config.hydra.overrides.task)),
            question=question,
            figures=figures,
            page=page,
            folder=os.getcwd(),
        )

    @property
    def has_begun(self) -> bool:
        """Whether a run has started; before there is nothing to report."""
        folders = (self.sweep_dir / name for name in self._runs())
        return any((folder / SETTINGS_FILE).exists() for folder in folders)

    def show(self) -> dict[str, Path]:
        """Writes and prints it, and returns the best runs' folders, as `show_report` does.

        Raises:
            LoraSweepError: it can't be made.
        """
        from lora_sweep.report.show import show_report
        from lora_sweep.report.write import Forms

        forms = Forms(figures=self.figures, page=self.page)
        write_question(self.sweep_dir, self.question)
        scope = Scope(self.command)
        return show_report([self.sweep_dir], scope=scope, question=self.question, forms=forms)

    def show_if_over(self) -> None:
        """Shows it, unless runs are left that another job of the queue trains or will train."""
        with contextlib.chdir(self.folder):
            is_over = all(is_done(self.sweep_dir / name) for name in self._runs())
            if self.has_begun and (is_over or not self._others_train()):
                self.show()

    def _runs(self) -> list[str]:
        return list(runs_meant(self.sweep_dir, Scope(self.command))[0])

    def _others_train(self) -> bool:
        """Whether a job of another pack waits or runs; so it is taken if Slurm does not answer."""
        jobs, own = slurm.jobs_in_queue(), slurm.own_job()
        others = [job for job in PackJobs(self.sweep_dir).all().values() if job != own]
        if jobs is None:
            return bool(others)
        return any(job in jobs and not jobs[job].is_over for job in others)


def sweep_report(config: DictConfig) -> SweepReport | None:
    """Returns the report that a command's settings ask for; None for none.

    Args:
        config: of the sweep, with what stands under `hydra.callbacks.report`.
    """
    asked = config.hydra.callbacks.get("report")
    if asked is None:
        return None
    question = Question(asked.question, asked.equivalence_points, asked.difference_points)
    return SweepReport.of(config, question, figures=asked.figures, page=asked.page)
