"""Hands what a pack's training tells to the keepers of its runs, and shows the progress."""

import statistics
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tqdm.auto import tqdm

from lora_sweep.errors import ClaimedElsewhereError
from lora_sweep.execution.referee import Referee
from lora_sweep.execution.run_recorder import RunKeeper
from lora_sweep.store.run_log import lines_of
from lora_sweep.training.evaluation import Evaluation
from lora_sweep.training.parameters import Parameters
from lora_sweep.training.snapshot import RunSnapshot


class PackKeeper:
    """A pack's observer: tells every run's keeper what is its own, and shows the progress."""

    def __init__(
        self,
        keepers: Sequence[RunKeeper],
        bar: "tqdm[Any]",
        *,
        wants_stop: Callable[[], bool] = lambda: False,
        holds_claim: Callable[[], bool] = lambda: True,
        referee: Referee | None = None,
    ) -> None:
        """Takes the keepers in the order of the pack's plans.

        Args:
            keepers: one a run.
            bar: shows the progress.
            wants_stop: whether the training is to end after the step under way.
            holds_claim: whether the runs are still this process's to write.
            referee: decides which runs end early; None for none.
        """
        self.keepers, self.bar = keepers, bar
        self.wants_stop, self._holds_claim = wants_stop, holds_claim
        self._referee = referee
        self._evaluated: dict[str, int] = {}  # name -> run, of those at the latest evaluation
        self.step = bar.n
        self.metrics: dict[int, float] = {}
        self.shown: dict[str, str] = {}

    def on_step(self, step: int) -> None:
        """Moves the progress bar."""
        self.step = step
        self.bar.update(step - self.bar.n)

    def on_losses(self, losses: dict[int, float]) -> None:
        """Shows the latest loss, the median over the runs."""
        if losses:
            self._show(loss=f"{statistics.median(losses.values()):.3f}")

    def on_ranks(
        self, run: int, step: int, alpha: float | None, budget_params: float, ranks: list[float]
    ) -> None:
        """Hands on a record of ranks."""
        if self.keepers[run].is_lost():
            return
        self.keepers[run].on_ranks(step, alpha, budget_params, ranks)
        self._show_ranks(alpha, ranks)

    def on_evaluation(self, run: int, evaluation: Evaluation, state: Parameters) -> None:
        """Hands on an evaluation; shows the metric, the best of the pack."""
        keeper = self.keepers[run]
        if keeper.is_lost():
            return
        with lines_of(keeper.folder.path):
            keeper.on_evaluation(evaluation, state)
        self._evaluated[keeper.folder.path.name] = run
        self.metrics[run] = evaluation.metrics[keeper.origin.metric]
        self._show(metric=f"{max(self.metrics.values()):.3f}")
        self._show_ranks(evaluation.alpha, evaluation.ranks)

    def on_snapshot(self, run: int, snapshot: RunSnapshot) -> None:
        """Hands on where a run stands.

        Raises:
            ClaimedElsewhereError: another process has taken the runs over.
        """
        self._check_claim()
        if not self.keepers[run].is_lost():
            self.keepers[run].on_snapshot(snapshot)

    def on_failure(self, run: int, error: str) -> None:
        """Hands on why a run left the pack."""
        if self.keepers[run].is_lost():
            return
        with lines_of(self.keepers[run].folder.path):
            self.keepers[run].on_failure(error)

    def leaving(self) -> Collection[int]:
        """Ends the runs that the referee dismisses, and returns which they are."""
        evaluated, self._evaluated = self._evaluated, {}
        if self._referee is None or not evaluated:
            return ()
        keepers = {name: self.keepers[run] for name, run in evaluated.items()}
        epoch = max(keeper.epochs[-1].epoch for keeper in keepers.values())
        metrics = {name: keeper.reported_metric for name, keeper in keepers.items()}
        dismissed = self._referee.dismissed(epoch, metrics)
        for name in dismissed:
            with lines_of(keepers[name].folder.path):
                keepers[name].on_pruned(f"pruned by the search after epoch {epoch}")
        return {evaluated[name] for name in dismissed}

    def finish(self) -> None:
        """Writes the records of the runs that came to their end, and removes their checkpoints."""
        self._check_claim()
        left = [keeper for keeper in self.keepers if keeper.pruned is None]
        finished = [keeper for keeper in left if not keeper.is_lost()]
        for keeper in finished:
            with lines_of(keeper.folder.path):
                keeper.finish()
        for keeper in finished:
            keeper.folder.clear_checkpoints()

    def _check_claim(self) -> None:
        if not self._holds_claim():
            raise ClaimedElsewhereError(
                f"{len(self.keepers)} runs were taken over by another process while this one "
                "did not answer: they are left to it"
            )

    def _show_ranks(self, alpha: float | None, ranks: list[float]) -> None:
        if len(self.keepers) == 1:
            shown = "-" if alpha is None else f"{alpha:.2f}"
            self._show(ranks=f"{min(ranks):.1f}-{max(ranks):.1f}", alpha=shown)

    def _show(self, **values: str) -> None:
        self.shown |= values
        self.bar.set_postfix(self.shown, refresh=False)
