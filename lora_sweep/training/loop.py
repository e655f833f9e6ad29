"""The training loop: a pack of runs, epoch by epoch, over one frozen encoder.

Nothing here knows of configs or files. What happens is told to an `Observer`, which keeps it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from lora_sweep.adapters.layer import cores_by_matrix
from lora_sweep.data.batches import Batch, ahead, epoch_order
from lora_sweep.training.encoder import AdaptedEncoder, head_outputs
from lora_sweep.training.evaluation import Evaluation, evaluate
from lora_sweep.training.optim import clip_gradients
from lora_sweep.training.pack import Pack, PackTexts
from lora_sweep.training.parameters import Parameters, run_state
from lora_sweep.training.plan import PackPlan, RunPlan
from lora_sweep.training.seeds import stream_generator, stream_seed


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

    def on_failure(self, run: int, error: str) -> None:
        """A run can't go on and has left the pack."""


def train_pack(
    encoder: AdaptedEncoder,
    texts: PackTexts,
    plans: Sequence[RunPlan],
    shared: PackPlan,
    observer: Observer,
) -> None:
    """Trains a pack of runs to its end, or until every run has failed.

    A run's numbers do not depend on the runs beside it, up to the rounding of float32: what is
    drawn for it comes from its own seed.

    Args:
        encoder: the frozen base.
        texts: the corpus.
        plans: one a run.
        shared: what the runs share.
        observer: is told what happens.
    """
    pack = Pack(encoder, texts, plans, shared)
    for epoch in range(shared.n_epochs):
        losses = train_epoch(pack, epoch, observer)
        if not pack.runs:
            return
        for row, evaluation in enumerate(evaluate(pack, epoch=epoch + 1, train_losses=losses)):
            state = run_state(pack.parameters, row, pack.plans[row])
            observer.on_evaluation(pack.runs[row], evaluation, state)


def train_epoch(pack: Pack, epoch: int, observer: Observer) -> list[float]:
    """Trains one epoch and returns the mean loss of every run that is left.

    Args:
        pack: changed in place; runs whose loss is not finite leave it.
        epoch: 0 for the first.
        observer: is told what happens.
    """
    shared, seeds = (
        pack.shared,
        {run: plan.seed for run, plan in zip(pack.runs, pack.plans, strict=True)},
    )
    orders = {
        run: epoch_order(len(pack.texts.train), stream_generator(seed, f"order/{epoch}"))
        for run, seed in seeds.items()
    }
    drops = {
        run: stream_generator(seed, f"dropout/{epoch}", shared.device)
        for run, seed in seeds.items()
    }
    totals, unread = dict.fromkeys(pack.runs, 0.0), []
    pack.encoder.encoder.train()
    with _own_dropout(pack, epoch):
        batches = _batches(pack, orders, 0)
        for step in range(1, pack.steps_per_epoch + 1):
            if epoch < shared.log_ranks_epochs and pack.step % shared.log_every == 0:
                _tell_ranks(pack, observer)
            generators = [drops[run] for run in pack.runs]
            unread.append(train_step(pack, next(batches), epoch, generators))
            observer.on_step(pack.step)
            if len(unread) == shared.log_every or step == pack.steps_per_epoch:
                n_runs = len(pack.runs)
                _read_losses(pack, unread, totals, observer)
                unread = []
                if not pack.runs:
                    break
                if len(pack.runs) < n_runs:
                    batches = _batches(pack, orders, step)
    return [totals[run] / pack.steps_per_epoch for run in pack.runs]


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
    encoder, n_runs = pack.encoder, len(pack.runs)
    batch = batch.to(pack.shared.device)
    dropout = encoder.draw_dropout(batch, generators)
    masks = pack.allocator.masks(pack.logits, pack.step, pack.allocator.is_discrete(epoch))
    cores = cores_by_matrix(pack.latent, masks, pack.lora_scale, dtype=encoder.dtype)
    features = encoder.features(batch, cores, n_runs)  # (K, b, d)
    losses = run_losses(head_outputs(features, pack.parameters, dropout), batch.labels)
    gradient = pack.optimiser.bank.gradient(losses.sum())
    clip_gradients(gradient, pack.max_gradient_norm)
    pack.optimiser.step(gradient, pack.learning_rates())
    pack.step += 1
    return losses.detach()


def run_losses(outputs: Tensor, labels: Tensor) -> Tensor:
    """Returns each run's mean loss (K,): cross-entropy, or squared error for one output.

    Args:
        outputs: the heads' outputs (K, b, n_labels).
        labels: (K, b), int64 for classes, float32 for values.
    """
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] - labels).square().mean(dim=1)
    each = functional.cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(dim=1)


def _batches(pack: Pack, orders: dict[int, Tensor], n_done: int) -> Iterator[Batch]:
    """The epoch's batches for the runs that are left, after the first `n_done` ones."""
    size, texts = pack.shared.batch_size, pack.texts.train
    by_run = torch.stack([orders[run] for run in pack.runs])  # (K, n)
    indices = torch.split(by_run, size, dim=1)[n_done:]
    if pack.shared.device.type != "cuda":
        return (pack.encoder.batch(texts, index) for index in indices)
    return ahead(lambda index: pack.encoder.batch(texts, index).pinned(), indices)


@contextmanager
def _own_dropout(pack: Pack, epoch: int) -> Iterator[None]:
    """An encoder that drops by torch's global generator does so from its one run's seed."""
    if pack.encoder.dropout is not None:
        yield
        return
    device = pack.shared.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(stream_seed(pack.plans[0].seed, f"dropout/{epoch}"))
        yield


def _read_losses(
    pack: Pack, unread: list[Tensor], totals: dict[int, float], observer: Observer
) -> None:
    """Adds the steps' losses to the totals; a run with one that is not finite leaves the pack."""
    losses = torch.stack(unread).cpu()  # (steps, K)
    failed = []
    for row, run in enumerate(pack.runs):
        values = losses[:, row].tolist()
        bad = [i for i, value in enumerate(values) if not math.isfinite(value)]
        if bad:
            failed.append(row)
            step = pack.step - len(values) + bad[0] + 1
            observer.on_failure(run, _failure(pack.plans[row], values[bad[0]], step, pack.n_steps))
        totals[run] += sum(values)
    if failed:
        pack.drop(failed)
    observer.on_losses(_latest(pack, losses, failed))


def _latest(pack: Pack, losses: Tensor, failed: list[int]) -> dict[int, float]:
    """The last loss of every run that is left."""
    kept = [value for row, value in enumerate(losses[-1].tolist()) if row not in failed]
    return dict(zip(pack.runs, kept, strict=True))


def _failure(plan: RunPlan, loss: float, step: int, n_steps: int) -> str:
    lr = "" if plan.allocation is None else f", lr={plan.allocation.lr:g}"
    return (
        f"loss became {loss} at step {step} of {n_steps} with "
        f"learning_rate.adapter={plan.lr_adapter:g}, learning_rate.head={plan.lr_head:g}{lr}: "
        "lower one of them"
    )


@torch.no_grad()
def _tell_ranks(pack: Pack, observer: Observer) -> None:
    ranks = pack.allocator.ranks(pack.logits, pack.step).tolist()
    alphas = pack.allocator.alpha(pack.step)
    budgets = pack.allocator.budget_params(pack.step)
    for row, run in enumerate(pack.runs):
        if pack.plans[row].allocation is not None:
            observer.on_ranks(run, pack.step, alphas[row], budgets[row], ranks[row])
