"""AdamW, gradient clipping and the learning-rate schedule, for all runs of a pack at once.

Banks have the run axis first, so a learning rate or a clipping factor is a vector over the runs,
broadcast over the rest. Every run gets what plain AdamW and clipping would give it alone.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lora_sweep.training.parameters import Parameters

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
def clip_gradients(parameters: Parameters, max_norm: Tensor) -> Tensor:
    """Scales each run's gradients to a global norm of at most `max_norm`, in place.

    Args:
        parameters: banks (K, ...) whose gradients are scaled; those without one are passed over.
        max_norm: bound on each run's norm (K,).

    Returns:
        The norms before scaling (K,).

    Source: `torch.nn.utils.clip_grad_norm_`, a run at a time.
    """
    gradients = [bank.grad for bank in parameters.values() if bank.grad is not None]
    squares = [gradient.flatten(1).square().sum(dim=1) for gradient in gradients]
    norms = torch.stack(squares).sum(dim=0).sqrt()  # (K,)
    factor = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(_over_rows(factor, gradient))
    return norms


class BankAdamW:
    """AdamW over banks, with a learning rate for each run and bank."""

    def __init__(self, parameters: Parameters, weight_decay: Tensor) -> None:
        """Starts with zero moments.

        Args:
            parameters: banks (K, ...); their `grad` is read and their values changed in place.
            weight_decay: decoupled weight decay of every run (K,).
        """
        self.parameters = parameters
        self.weight_decay = weight_decay
        self.n_steps = 0
        self.first = {name: torch.zeros_like(bank) for name, bank in parameters.items()}
        self.second = {name: torch.zeros_like(bank) for name, bank in parameters.items()}

    @torch.no_grad()
    def step(self, lr: Mapping[str, Tensor]) -> None:
        """Takes one step and clears the gradients; a bank without gradient stays as it is.

        Args:
            lr: bank name -> learning rate of every run (K,); 0 leaves that run's row as it is.

        Source: AdamW (arXiv 1711.05101), algorithm 2, in torch's order of operations.
        """
        self.n_steps += 1
        for name, bank in self.parameters.items():
            if bank.grad is not None:
                self._update(name, bank, bank.grad, _over_rows(lr[name], bank))
                bank.grad = None

    def keep(self, rows: Tensor) -> None:
        """Drops all runs but those rows, from parameters and moments alike."""
        for name, bank in self.parameters.items():
            self.parameters[name] = bank.detach()[rows].clone().requires_grad_()
            self.first[name] = self.first[name][rows]
            self.second[name] = self.second[name][rows]
        self.weight_decay = self.weight_decay[rows]

    def _update(self, name: str, bank: Tensor, gradient: Tensor, lr: Tensor) -> None:
        beta1, beta2 = BETAS
        bank.mul_(1 - lr * _over_rows(self.weight_decay, bank))
        first = self.first[name].lerp_(gradient, 1 - beta1)
        second = self.second[name].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (second / (1 - beta2**self.n_steps)).sqrt_().add_(EPSILON)
        bank.sub_(first / root * (lr / (1 - beta1**self.n_steps)))


def _over_rows(values: Tensor, bank: Tensor) -> Tensor:
    """A vector over the runs (K,) as (K, 1, ...), to broadcast over a bank (K, ...)."""
    return values.view(-1, *[1] * (bank.ndim - 1))
