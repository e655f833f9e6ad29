"""AdamW, gradient clipping and the learning-rate schedule, for all runs of a pack at once.

A row of the bank is all that a run trains, so a learning rate or a clipping factor is a vector
over the runs. Every run gets what plain AdamW and clipping would give it alone; no torch optimiser
takes a learning rate a row, and this one takes ten operator calls whatever the number of runs.
"""

import torch
from torch import Tensor

from lora_sweep.training.parameters import ParameterBank

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def lr_factor(schedule: str, step: int, n_steps: int, *, warmup_fraction: float) -> float:
    """Returns the factor on the learning rates at a step.

    `linear` rises from 0 at step 0 to 1 over int(warmup_fraction n_steps) steps, then falls
    linearly to 0 at n_steps; `constant` is 1 throughout.

    Args:
        schedule: `linear` or `constant`.
        step: steps taken so far, 0 for the first; 0 beyond n_steps.
        n_steps: steps of the whole training.
        warmup_fraction: share of the steps that warm up, 0 to 1.

    Raises:
        ValueError: unknown schedule.

    Source: transformers' linear schedule with warm-up.
    """
    if schedule == "constant":
        return 1.0
    if schedule != "linear":
        raise ValueError(
            f"learning_rate.schedule must be linear or constant, but got {schedule!r}"
        )
    n_warmup = int(warmup_fraction * n_steps)
    if step < n_warmup:
        return step / n_warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))


@torch.no_grad()
def clip_gradients(gradient: Tensor, max_norm: Tensor) -> Tensor:
    """Scales each run's gradient to a norm of at most `max_norm`, in place.

    Args:
        gradient: of all that the runs train (K, P).
        max_norm: bound on each run's norm (K,).

    Returns:
        The norms before scaling (K,).

    Source: `torch.nn.utils.clip_grad_norm_`, a run at a time.
    """
    norms: Tensor = torch.linalg.vector_norm(gradient, dim=1)  # (K,)
    factor = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    gradient.mul_(factor[:, None])
    return norms


class BankAdamW:
    """AdamW over a bank, with a learning rate for each run and parameter."""

    def __init__(self, bank: ParameterBank, weight_decay: Tensor) -> None:
        """Starts with zero moments.

        Args:
            bank: its values are changed in place.
            weight_decay: decoupled weight decay of every run (K,).
        """
        self.bank = bank
        self.weight_decay = weight_decay
        self.n_steps = 0
        self.first = torch.zeros_like(bank.values)
        self.second = torch.zeros_like(bank.values)

    @torch.no_grad()
    def step(self, gradient: Tensor, lr: Tensor) -> None:
        """Takes one step.

        Args:
            gradient: of all that the runs train (K, P).
            lr: learning rates (K, P); 0 leaves a value as it is.

        Source: AdamW (arXiv 1711.05101), algorithm 2, in torch's order of operations.
        """
        self.n_steps += 1
        beta1, beta2 = BETAS
        values = self.bank.values
        values.mul_(1 - lr * self.weight_decay[:, None])
        self.first.lerp_(gradient, 1 - beta1)
        self.second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (self.second / (1 - beta2**self.n_steps)).sqrt_().add_(EPSILON)
        values.addcdiv_(self.first * lr, root, value=-1 / (1 - beta1**self.n_steps))

    def keep(self, rows: Tensor) -> None:
        """Drops all runs but those rows, from bank and moments alike."""
        self.bank.keep(rows)
        self.first, self.second = self.first[rows], self.second[rows]
        self.weight_decay = self.weight_decay[rows]
