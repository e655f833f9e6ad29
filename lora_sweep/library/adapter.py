"""The trained part of an adapted model: latent matrices R, allocation logits, and their masks.

It is a submodule of the encoder, so it moves, trains, evaluates and is saved with it. Before each
forward pass of the encoder it gives every adapted layer its core s (M o R):

    while training      soft masks; discrete ones in the last epochs_discrete epochs
    in evaluation       discrete masks

Masks, schedules and starting values are those of a sweep's run with the same numbers.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lora_sweep.adapters.layer import (
    LoRAXSLinear,
    cores_by_matrix,
    leading_singular_values,
    set_cores,
)
from lora_sweep.library.plan import AdapterPlan, run_plan
from lora_sweep.rules import require
from lora_sweep.training.allocator import PackAllocator
from lora_sweep.training.parameters import LATENT, LOGITS, start_parameters
from lora_sweep.vocabulary import LORA_ALPHA


class LoRAXSAdapter(nn.Module):
    """R and logits of N adapted matrices, and the schedule they are trained by.

    Attributes:
        plan: how ranks are learnt.
        names: of the adapted matrices in the encoder, in module order (N).
        R: latent matrices (N, rank_max, rank_max), float32, start N(0, 1e-5^2).
        logits: allocation logits (N,), float32; not trained where ranks are fixed.
        step: optimiser steps taken.
    """

    def __init__(self, layers: dict[str, LoRAXSLinear], plan: AdapterPlan) -> None:
        """Starts at step 0, without a schedule.

        Args:
            layers: name -> adapted layer, in module order.
            plan: how ranks are learnt.
        """
        super().__init__()
        self.plan, self.names = plan, tuple(layers)
        self._layers = tuple(layers.values())  # a tuple: they are the encoder's submodules
        start = start_parameters(
            [run_plan(plan)],
            spectra=self.spectra(),
            r=plan.rank_max,
            d=1,  # the head that comes with it is not used
            n_labels=1,
            device=self._layers[0].weight.device,
        )
        self.R = nn.Parameter(start[LATENT][0])
        self.logits = nn.Parameter(start[LOGITS][0], requires_grad=not plan.has_fixed_ranks)
        self.step = 0
        self._length: tuple[int, int] | None = None
        self._kept_allocator: PackAllocator | None = None

    def schedule(self, *, steps_per_epoch: int, n_epochs: int) -> None:
        """Lays alpha, budget and discretisation out over a training, and goes to step 0.

        Args:
            steps_per_epoch: optimiser steps in an epoch, at least 1.
            n_epochs: epochs of the whole training, at least 1; where ranks are learnt, more than
                epochs_discrete, for logits rest in discrete epochs.

        Raises:
            ValueError: a count is too small.
        """
        require(steps_per_epoch >= 1, "steps_per_epoch", "at least 1", steps_per_epoch)
        require(n_epochs >= 1, "n_epochs", "at least 1", n_epochs)
        n_discrete = self.plan.epochs_discrete
        is_learnt = self.plan.has_fixed_ranks or n_epochs > n_discrete
        rule = f"above epochs_discrete={n_discrete}, or no rank is learnt"
        require(is_learnt, "n_epochs", rule, n_epochs)
        self._length, self._kept_allocator, self.step = (steps_per_epoch, n_epochs), None, 0

    def advance(self) -> None:
        """Counts one optimiser step: call it after every one."""
        self.step += 1

    @property
    def length(self) -> tuple[int, int] | None:
        """Steps an epoch and epochs of the schedule; None before `schedule`."""
        return self._length

    @property
    def alpha(self) -> float | None:
        """Sharpness of the soft mask at this step; None where ranks are fixed."""
        return self._allocator().schedules.alpha(self._place())[0]

    @property
    def budget_params(self) -> float:
        """Rank budget M_p at this step, in entries of R."""
        return self._allocator().schedules.budget_params(self._place())[0]

    @property
    def is_discrete(self) -> bool:
        """Whether this step trains with discrete masks."""
        allocator = self._allocator()
        steps_per_epoch = allocator.schedules.steps_per_epoch
        return allocator.schedules.is_discrete(self._place() // steps_per_epoch)[0]

    @torch.no_grad()
    def ranks(self) -> dict[str, float]:
        """Returns the real-valued rank of every adapted matrix, name -> rank."""
        return dict(zip(self.names, self._ranks()[0].tolist(), strict=True))

    @torch.no_grad()
    def integer_ranks(self) -> dict[str, int]:
        """Returns the rank that every adapted matrix has in evaluation, name -> rank."""
        integer = self._allocator().integer_ranks(self._ranks(), self._place())[0]
        return dict(zip(self.names, integer, strict=True))

    def masks(self) -> Tensor:
        """Returns the masks (N, rank_max, rank_max) of this step, float32.

        Raises:
            RuntimeError: ranks are learnt in training without a schedule.
        """
        if not self.training or self.is_discrete:
            with torch.no_grad():
                return self._allocator().discrete_masks(self._ranks(), self._place())[0]
        if self._length is None:
            raise RuntimeError(
                "schedule(steps_per_epoch=..., n_epochs=...) must be called before a training "
                "step, but got none: alpha and the budget move along it"
            )
        return self._allocator().masks(self.logits[None], self._place(), [False])[0]

    def spectra(self) -> Tensor:
        """Returns the leading singular values of every adapted matrix (N, rank_max)."""
        return leading_singular_values(self._layers, self.plan.rank_max)

    def before_forward(self, encoder: nn.Module, inputs: Any) -> None:
        """Gives the layers their cores; the encoder calls it before every forward pass.

        Raises:
            RuntimeError: the encoder is a replica of `nn.DataParallel`, or autocast is on.
        """
        device = self.R.device
        if getattr(encoder, "_is_replica", False):
            raise RuntimeError(
                "an adapted model must run on one device a process, but got nn.DataParallel: "
                "use DistributedDataParallel, or make one device visible"
            )
        if torch.is_autocast_enabled(device.type):
            raise RuntimeError(
                "an adapted model must run without autocast, but got it: load the base with "
                "dtype=torch.bfloat16 instead (R stays float32)"
            )
        if self.training and self.is_discrete:
            self.logits.grad = None  # resting logits: no optimiser's momentum moves them on
        scale = torch.tensor([LORA_ALPHA / self.plan.rank_max], device=device)
        dtype = self._layers[0].weight.dtype
        cores = cores_by_matrix(self.R[None], self.masks()[None], scale, dtype=dtype)
        set_cores(self._layers, cores)

    def get_extra_state(self) -> Tensor:
        """Returns the step, which a state dict keeps beside R and logits."""
        return torch.tensor(self.step)

    def set_extra_state(self, state: Tensor) -> None:
        """Takes the step of a state dict."""
        self.step = int(state)

    def _ranks(self) -> Tensor:
        return self._allocator().ranks(self.logits.detach()[None], self._place())

    def _place(self) -> int:
        """This step, at most the schedule's last."""
        return min(self.step, self._allocator().schedules.n_steps)

    def _allocator(self) -> PackAllocator:
        """The allocator on the device where the parameters are now."""
        kept = self._kept_allocator
        if kept is None or kept.device != self.logits.device:
            steps_per_epoch, n_epochs = self._length or (1, self.plan.epochs_discrete + 1)
            made = PackAllocator(
                [run_plan(self.plan)],
                len(self.names),
                r=self.plan.rank_max,
                steps_per_epoch=steps_per_epoch,
                n_epochs=n_epochs,
                device=self.logits.device,
            )
            if kept is not None:
                made.set_noise_states(kept.noise_states())
            self._kept_allocator = kept = made
        return kept
