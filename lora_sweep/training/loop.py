"""The training loop: a pack of runs, epoch by epoch, over one frozen encoder.

Nothing here knows of configs or files. What happens is told to an `Observer`, which keeps it.
"""

import math
from collections.abc import Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor

from lora_sweep.data.batches import Batch
from lora_sweep.training.encoder import AdaptedEncoder, head_outputs
from lora_sweep.training.epoch import EpochProgress
from lora_sweep.training.evaluation import Evaluation, evaluate
from lora_sweep.training.losses import run_losses
from lora_sweep.training.optim import clip_gradients
from lora_sweep.training.outputs import EvaluationStoppedError
from lora_sweep.training.pack import Pack, PackTexts
from lora_sweep.training.parameters import Parameters, run_state
from lora_sweep.training.plan import PackPlan, RunPlan
from lora_sweep.training.snapshot import RunSnapshot, restore, take_snapshots


class Observer(Protocol):
    """Who keeps what a training tells; `run` is a run's position in the list of plans."""

    def on_step(self, step: int) -> None:
        """A step was taken, `step` so far; called at every step, so it must be quick."""

    def on_losses(self, losses: dict[int, float]) -> None:
        """The latest training loss of every run, every `log_every` steps."""

    def on_ranks(
        self, run: int, step: int, alpha: float | None, budget_params: float, ranks: list[float]
    ) -> None:
        """A run's ranks within the first epochs, every `log_every` steps."""

    def on_evaluation(self, run: int, evaluation: Evaluation, state: Parameters) -> None:
        """A run was evaluated at an epoch's end; `state` is its trained state."""

    def on_snapshot(self, run: int, snapshot: RunSnapshot) -> None:
        """Where a run stands, after an evaluation or a stop: it can go on from there."""

    def on_failure(self, run: int, error: str) -> None:
        """A run can't go on and has left the pack."""

    def leaving(self) -> Collection[int]:
        """Runs that are to leave the pack; asked after every evaluation but the last."""

    def wants_stop(self) -> bool:
        """Whether the training is to end now; asked after every step, so it must be quick.

        It is asked before every batch of an evaluation too.
        """


def train_pack(
    encoder: AdaptedEncoder,
    texts: PackTexts,
    plans: Sequence[RunPlan],
    shared: PackPlan,
    observer: Observer,
    *,
    start: Sequence[RunSnapshot] = (),
) -> bool:
    """Trains a pack of runs to its end, or until every run has left, or the observer stops it.

    A run's numbers do not depend on the runs beside it, up to the rounding of float32: what is
    drawn for it comes from its own seed.

    Args:
        encoder: the frozen base.
        texts: the corpus.
        plans: one a run.
        shared: what the runs share.
        observer: is told what happens.
        start: where every run stands, all after the same step; empty for the beginning.

    Returns:
        Whether the pack came to its end; if not, its runs' snapshots were told.
    """
    r = max((shot.r for shot in start), default=None)
    pack = Pack(encoder, texts, plans, shared, r=r)
    progress = restore(pack, start) if start else EpochProgress(pack, 0)
    n_all = pack.length.n_epochs
    while progress.epoch < n_all:
        losses = train_epoch(pack, progress, observer)
        if losses is None:
            _tell_snapshots(pack, progress.epoch, progress, observer)
            return False
        if not pack.runs:
            break
        n_epochs = progress.epoch + 1
        try:
            evaluations = evaluate(
                pack, epoch=n_epochs, train_losses=losses, wants_stop=observer.wants_stop
            )
        except EvaluationStoppedError:  # as if the stop had come at the epoch's last step
            _tell_snapshots(pack, progress.epoch, progress, observer)
            return False
        for row, evaluation in enumerate(evaluations):
            state = run_state(pack.parameters, row, pack.plans[row])
            observer.on_evaluation(pack.runs[row], evaluation, state)
        _tell_snapshots(pack, n_epochs, None, observer)
        if n_epochs < n_all:
            if observer.wants_stop():
                return False
            leaving = observer.leaving()
            if leaving:
                pack.drop([row for row, run in enumerate(pack.runs) if run in leaving])
            if not pack.runs:
                break
        progress = EpochProgress(pack, n_epochs)
    return True


def train_epoch(pack: Pack, progress: EpochProgress, observer: Observer) -> list[float] | None:
    """Trains an epoch to its end and returns the mean loss of every run that is left.

    Args:
        pack: changed in place; runs whose loss is not finite leave it.
        progress: where the pack stands in the epoch; changed in place.
        observer: is told what happens.

    Returns:
        The losses, or None if the observer wanted to stop.
    """
    shared, n_steps = pack.shared, pack.length.steps_in(progress.epoch)
    pack.encoder.encoder.train()
    with progress.own_dropout(pack):
        batches = progress.batches(pack)
        while progress.n_done < n_steps:
            if progress.epoch < shared.log_ranks_epochs and pack.step % shared.log_every == 0:
                _tell_ranks(pack, observer)
            generators = [progress.drops[run] for run in pack.runs]
            progress.unread.append(train_step(pack, next(batches), progress.epoch, generators))
            progress.n_done += 1
            observer.on_step(pack.step)
            is_last = progress.n_done == n_steps
            if is_last or len(progress.unread) == shared.log_every:
                n_runs = len(pack.runs)
                _read_losses(pack, progress, observer)
                if not pack.runs:
                    break
                if len(pack.runs) < n_runs:
                    batches = progress.batches(pack)
            if observer.wants_stop():
                return None
    return [progress.totals[run] / n_steps for run in pack.runs]


def train_step(
    pack: Pack, batch: Batch, epoch: int, generators: Sequence[torch.Generator]
) -> Tensor:
    """Takes one optimiser step and returns the losses (K,), which are not waited for.

    Args:
        pack: changed in place.
        batch: b texts of every run, as the encoder takes them.
        epoch: 0 for the first.
        generators: of every run's dropout (K), on the pack's device; each is moved on.
    """
    losses = step_losses(pack, batch, epoch, generators)
    bank, allocator = pack.optimiser.bank, pack.allocator
    gradient = bank.gradient(losses.sum())
    if allocator.importance:
        allocator.observe(pack.parameters, bank.split(gradient), pack.step)
    clip_gradients(gradient, pack.max_gradient_norm)
    pack.optimiser.step(gradient, pack.learning_rates())
    pack.step += 1
    return losses.detach()


def step_losses(
    pack: Pack, batch: Batch, epoch: int, generators: Sequence[torch.Generator]
) -> Tensor:
    """Returns the losses (K,) of the runs' next step, differentiable in what they train.

    Args:
        pack: as in `train_step`.
        batch: as there.
        epoch: as there.
        generators: as there.
    """
    encoder, allocator = pack.encoder, pack.allocator
    batch = batch.to(pack.shared.device)
    dropout = encoder.draw_dropout(batch, generators)
    masks = allocator.masks(pack.logits, pack.step, allocator.schedules.is_discrete(epoch))
    features = encoder.features(batch, pack.updates(masks), len(pack.runs))  # (K, b, d)
    return run_losses(head_outputs(features, pack.parameters, dropout), batch.labels)


def _tell_snapshots(
    pack: Pack, n_epochs: int, progress: EpochProgress | None, observer: Observer
) -> None:
    for run, shot in zip(pack.runs, take_snapshots(pack, n_epochs, progress), strict=True):
        observer.on_snapshot(run, shot)


def _read_losses(pack: Pack, progress: EpochProgress, observer: Observer) -> None:
    """Adds the steps' losses to the totals; a run with one that is not finite leaves the pack."""
    losses = torch.stack(progress.unread).cpu()  # (steps, K)
    progress.unread = []
    failed = []
    for row, run in enumerate(pack.runs):
        values = losses[:, row].tolist()
        bad = [i for i, value in enumerate(values) if not math.isfinite(value)]
        if bad:
            failed.append(row)
            step = pack.step - len(values) + bad[0] + 1
            observer.on_failure(
                run, _failure(pack.plans[row], values[bad[0]], step, pack.length.n_steps)
            )
        progress.totals[run] += sum(values)
    if failed:
        pack.drop(failed)
    observer.on_losses(_latest(pack, losses, failed))


def _latest(pack: Pack, losses: Tensor, failed: list[int]) -> dict[int, float]:
    """The last loss of every run that is left."""
    kept = [value for row, value in enumerate(losses[-1].tolist()) if row not in failed]
    return dict(zip(pack.runs, kept, strict=True))


def _failure(plan: RunPlan, loss: float, step: int, n_steps: int) -> str:
    lr = f", lr={plan.lr_logits:g}" if plan.allocation.has_logits else ""
    return (
        f"loss became {loss} at step {step} of {n_steps} with "
        f"learning_rate.adapter={plan.lr_adapter:g}, learning_rate.head={plan.lr_head:g}{lr}: "
        "lower one of them"
    )


@torch.no_grad()
def _tell_ranks(pack: Pack, observer: Observer) -> None:
    ranks = pack.allocator.ranks(pack.logits, pack.step).tolist()
    schedules = pack.allocator.schedules
    alphas, budgets = schedules.alpha(pack.step), schedules.budget_params(pack.step)
    for row, run in enumerate(pack.runs):
        own = pack.plans[row].allocation
        if not own.has_fixed_ranks and not own.has_random_squares:
            observer.on_ranks(run, pack.step, alphas[row], budgets[row], ranks[row])
