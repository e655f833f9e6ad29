"""The training loop: a pack of runs, epoch by epoch, over one frozen encoder.

Nothing here knows of configs or files. What happens is told to an `Observer`, which keeps it.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from lora_sweep.adapters.layer import cores_by_matrix
from lora_sweep.data.batches import epoch_order
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

    With dropout off, a run's numbers do not depend on the runs beside it. With dropout on, the
    first run's seed draws the dropout masks of all.

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
    shared, n_texts = pack.shared, len(pack.texts.train)
    orders = {
        run: epoch_order(n_texts, stream_generator(plan.seed, f"order/{epoch}"))
        for run, plan in zip(pack.runs, pack.plans, strict=True)
    }
    totals, unread = dict.fromkeys(pack.runs, 0.0), []
    pack.encoder.encoder.train()
    with torch.random.fork_rng([shared.device] if shared.device.type == "cuda" else []):
        torch.manual_seed(stream_seed(pack.plans[0].seed, f"dropout/{epoch}"))
        for start in range(0, n_texts, shared.batch_size):
            if epoch < shared.log_ranks_epochs and pack.step % shared.log_every == 0:
                _tell_ranks(pack, observer)
            stop = start + shared.batch_size
            index = torch.stack([orders[run][start:stop] for run in pack.runs])  # (K, b)
            unread.append(_train_step(pack, index, epoch))
            observer.on_step(pack.step)
            if len(unread) == shared.log_every or stop >= n_texts:
                _read_losses(pack, unread, totals, observer)
                unread = []
            if not pack.runs:
                break
    return [totals[run] / pack.steps_per_epoch for run in pack.runs]


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


def _train_step(pack: Pack, index: Tensor, epoch: int) -> Tensor:
    """One optimiser step on the texts (K, b); returns the losses (K,), not yet read."""
    encoder, shared = pack.encoder, pack.shared
    discrete = pack.allocator.is_discrete(epoch)
    batch = encoder.batch(pack.texts.train, index, shared.device)
    masks = pack.allocator.masks(pack.logits, pack.step, discrete)
    cores = cores_by_matrix(pack.latent, masks, pack.lora_scale)
    with torch.autocast(shared.device.type, shared.autocast, enabled=shared.autocast is not None):
        features = encoder.features(batch, cores, len(pack.runs))  # (K, b, d)
    outputs = head_outputs(features, pack.parameters, dropout=encoder.dropout, training=True)
    losses = run_losses(outputs, batch.labels)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    clip_gradients(pack.parameters, pack.max_gradient_norm)
    pack.optimiser.step(pack.learning_rates(discrete))
    pack.step += 1
    return losses.detach()


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
