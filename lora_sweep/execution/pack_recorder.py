"""Hands what a pack's training tells to the recorders of its runs, and shows the progress."""

import logging
import statistics
from collections.abc import Collection, Sequence

from lora_sweep.durations import duration
from lora_sweep.errors import ClaimedElsewhereError
from lora_sweep.execution.display import Display
from lora_sweep.execution.protocols import StopPolicy
from lora_sweep.execution.run_recorder import RunRecorder
from lora_sweep.interrupt import StopRequest
from lora_sweep.metrics import known_value
from lora_sweep.store.claims import Claim
from lora_sweep.store.run_log import lines_of
from lora_sweep.training.evaluation import Evaluation
from lora_sweep.training.parameters import Parameters
from lora_sweep.training.snapshot import RunSnapshot
from lora_sweep.words import counted

log = logging.getLogger(__name__)


class PackRecorder:
    """A pack's observer: tells every run's recorder what is its own, and shows the progress.

    Whatever would write to a run's folder raises ClaimedElsewhereError instead if another process
    has taken the runs over.

    Attributes:
        step: optimiser steps that the pack has taken.
    """

    def __init__(
        self,
        recorders: Sequence[RunRecorder],
        display: Display,
        *,
        step: int = 0,
        stop: StopRequest | None = None,
        claim: Claim | None = None,
        stop_policy: StopPolicy | None = None,
    ) -> None:
        """Takes the recorders in the order of the pack's plans.

        Args:
            recorders: one a run.
            display: shows the progress.
            step: taken before this process began.
            stop: whether the training is to end after the step under way; None for never.
            claim: what makes the runs this process's to write; None for what nobody else has.
            stop_policy: decides which runs end early; None for none.
        """
        self.recorders, self.display, self.step = recorders, display, step
        self._stop, self._claim, self._stop_policy = stop, claim, stop_policy
        self._evaluated: dict[str, int] = {}  # name -> run, of those at the latest evaluation
        self.metrics: dict[int, float] = {}

    def wants_stop(self) -> bool:
        """Returns whether the training is to end after the step under way."""
        return self._stop is not None and self._stop.signal_number is not None

    def on_step(self, step: int) -> None:
        """Shows how far it is."""
        self.step = step
        self.display.move(step)

    def on_losses(self, losses: dict[int, float]) -> None:
        """Shows the latest loss, the median over the runs."""
        if losses:
            self.display.show(loss=f"{statistics.median(losses.values()):.3f}")

    def on_ranks(
        self, run: int, step: int, alpha: float | None, budget_params: float, ranks: list[float]
    ) -> None:
        """Hands on a record of ranks."""
        if not self._may_write(run):
            return
        self.recorders[run].on_ranks(step, alpha, budget_params, ranks)
        self._show_ranks(alpha, ranks)

    def on_evaluation(self, run: int, evaluation: Evaluation, state: Parameters) -> None:
        """Hands on an evaluation; shows the metric, the best of the pack."""
        if not self._may_write(run):
            return
        recorder = self.recorders[run]
        with lines_of(recorder.folder.path):
            recorder.on_evaluation(evaluation, state)
        self._evaluated[recorder.folder.path.name] = run
        self.metrics[run] = known_value(evaluation.metrics, recorder.origin.metric)
        self.display.show(metric=f"{max(self.metrics.values()):.3f}")
        self._show_ranks(evaluation.alpha, evaluation.ranks)

    def on_snapshot(self, run: int, snapshot: RunSnapshot) -> None:
        """Hands on where a run stands."""
        if self._may_write(run):
            self.recorders[run].on_snapshot(snapshot)

    def on_failure(self, run: int, error: str) -> None:
        """Hands on why a run left the pack."""
        if not self._may_write(run):
            return
        with lines_of(self.recorders[run].folder.path):
            self.recorders[run].on_failure(error)

    def leaving(self) -> Collection[int]:
        """Ends the runs that the stop policy names, and returns which they are."""
        evaluated, self._evaluated = self._evaluated, {}
        if self._stop_policy is None or not evaluated:
            return ()
        self._check_claim()
        recorders = {name: self.recorders[run] for name, run in evaluated.items()}
        epoch = max(recorder.epochs[-1].epoch for recorder in recorders.values())
        metrics = {name: recorder.reported_metric for name, recorder in recorders.items()}
        stopped = self._stop_policy.stopped(epoch, metrics)
        for name in stopped:
            with lines_of(recorders[name].folder.path):
                recorders[name].on_pruned(f"pruned by the search after epoch {epoch}")
        return {evaluated[name] for name in stopped}

    def finish(self) -> None:
        """Writes the records of the runs that came to their end, and removes their checkpoints."""
        self._check_claim()
        left = [recorder for recorder in self.recorders if recorder.pruned is None]
        finished = [recorder for recorder in left if not recorder.is_lost()]
        for recorder in finished:
            with lines_of(recorder.folder.path):
                recorder.finish()
        for recorder in finished:
            recorder.folder.clear_checkpoints()
        records = [recorder.record for recorder in finished if recorder.record is not None]
        if records:
            # The time is the pack's: every run's clock ran while all of them trained.
            seconds = max(record.wall_seconds for record in records)
            what = counted(len(records), "run", "runs together")
            log.info("%s trained in %s", what, duration(seconds))

    def _may_write(self, run: int) -> bool:
        """Whether the run's folder is there, and still this process's."""
        self._check_claim()
        return not self.recorders[run].is_lost()

    def _check_claim(self) -> None:
        if self._claim is not None and not self._claim.is_held:
            raise ClaimedElsewhereError(
                f"{counted(len(self.recorders), 'run', verb=('was', 'were'))} taken over by "
                "another process while this one did not answer: the other one goes on"
            )

    def _show_ranks(self, alpha: float | None, ranks: list[float]) -> None:
        if len(self.recorders) == 1 and ranks:
            shown = "-" if alpha is None else f"{alpha:.2f}"
            self.display.show(ranks=f"{min(ranks):.1f}-{max(ranks):.1f}", alpha=shown)
