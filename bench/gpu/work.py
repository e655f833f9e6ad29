"""What the battery works on: generated texts of CoLA's lengths, random encoders, plans of runs."""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from bench.work import Shape, random_encoder
from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.epoch import EpochProgress
from lora_sweep.training.evaluation import Evaluation
from lora_sweep.training.loop import train_step
from lora_sweep.training.pack import Pack, PackTexts
from lora_sweep.training.parameters import Parameters
from lora_sweep.training.plan import PackPlan, RunPlan
from lora_sweep.training.snapshot import RunSnapshot

SHORTEST, MEAN, LONGEST = 4, 11.3, 47
"""Tokens of a CoLA sentence under BERT's tokeniser, special tokens included."""
N_TRAIN, N_DEV = 8_551, 1_043
VOCABULARY = 30_000
SMALL = Shape(n_layers=2, d=128, n_heads=4)


def generated_texts(n_train: int = N_TRAIN, n_dev: int = N_DEV) -> PackTexts:
    """Returns texts of random tokens, as long as CoLA's; the label is the first token's parity."""
    return PackTexts(
        train=_tokens(n_train, seed=1),
        dev={"dev": _tokens(n_dev, seed=2)},
        headline_parts=("dev",),
        selection=None,
        metrics=("matthews_correlation",),
        n_labels=2,
        is_regression=False,
    )


def _tokens(n: int, *, seed: int) -> TokenisedTexts:
    generator = torch.Generator().manual_seed(seed)
    excess = torch.empty(n).exponential_(1 / (MEAN - SHORTEST), generator=generator)
    lengths = (SHORTEST + excess).round().long().clamp(max=LONGEST)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    shape = (int(offsets[-1]),)
    ids = torch.randint(3, VOCABULARY, shape, generator=generator, dtype=torch.int32)
    return TokenisedTexts(ids, None, offsets, (ids[offsets[:-1]] % 2).long())


def run_plan(seed: int, *, rank_max: int = 25) -> RunPlan:
    """Returns the plan of one run: ranks 5 to 25, average 20, as the study's."""
    allocation = AllocationPlan(
        rank_min=5,
        rank_max=rank_max,
        rank_average=20,
        init="randn",
        mode=Capped(),
        alpha_schedule="linear",
        alpha_min=0.5,
        alpha_max=3.0,
        epochs_discrete=1,
    )
    return RunPlan(
        seed=seed,
        allocation=allocation,
        lr_logits=0.01,
        lr_adapter=1e-3,
        lr_head=5e-3,
        lr_schedule="linear",
        warmup_fraction=0.06,
        weight_decay=0.01,
        max_gradient_norm=1.0,
    )


def pack_plan(device: torch.device, *, n_epochs: int = 50) -> PackPlan:
    """Returns what the runs share: batches of 32 texts."""
    return PackPlan(
        n_epochs=n_epochs,
        batch_size=32,
        evaluation_batch_size=256,
        log_every=20,
        log_ranks_epochs=0,
        device=device,
    )


def small_encoder(
    device: torch.device, dtype: torch.dtype = torch.float32, *, dropout: float = 0.1
) -> AdaptedEncoder:
    """Returns an encoder that takes no time, with the same weights on every device."""
    return random_encoder("roberta", SMALL, device=device, dtype=dtype, dropout=dropout)


def steps(pack: Pack) -> Iterator[Tensor]:
    """Takes the steps of the pack's first epoch and yields the losses (K,) of each."""
    progress = EpochProgress(pack, 0)
    pack.encoder.encoder.train()
    for batch in progress.batches(pack):
        yield train_step(pack, batch, 0, [progress.drops[run] for run in pack.runs])


class Recorder:
    """An observer that keeps the last state and snapshot of every run."""

    def __init__(self, stop_after: int | None = None) -> None:
        """Stops the training after a step; None for never."""
        self.stop_after, self.n_steps = stop_after, 0
        self.states: dict[int, Parameters] = {}
        self.snapshots: dict[int, RunSnapshot] = {}

    def on_step(self, step: int) -> None:
        """Counts."""
        self.n_steps = step

    def on_losses(self, losses: dict[int, float]) -> None:
        """Nothing is kept."""

    def on_ranks(
        self, run: int, step: int, alpha: float | None, budget_params: float, ranks: list[float]
    ) -> None:
        """Nothing is kept."""

    def on_evaluation(self, run: int, evaluation: Evaluation, state: Parameters) -> None:
        """Keeps the run's state."""
        self.states[run] = state

    def on_snapshot(self, run: int, snapshot: RunSnapshot) -> None:
        """Keeps where the run stands."""
        self.snapshots[run] = snapshot

    def on_failure(self, run: int, error: str) -> None:
        """A run that fails is a fault here."""
        raise RuntimeError(f"run {run}: {error}")

    def leaving(self) -> Collection[int]:
        """Nobody leaves."""
        return ()

    def wants_stop(self) -> bool:
        """Whether the step to stop after was taken."""
        return self.stop_after is not None and self.n_steps >= self.stop_after
