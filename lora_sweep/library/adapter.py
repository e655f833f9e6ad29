"""The trained part of an adapted model: latent matrices R, allocation logits, and their masks.

It is a part of the model, so it moves, trains, evaluates and is saved with it. In each forward
pass every adapted layer asks it for its core s (M o R), whoever calls the layer:

    while training      soft masks; discrete ones in the last epochs_discrete epochs
    in evaluation       discrete masks

Masks, schedules and starting values are those of a sweep's run with the same numbers.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lora_sweep.adapters.kind import Shapes
from lora_sweep.adapters.layer import LoRAXSLinear, cores_by_matrix, leading_singular_values
from lora_sweep.library.call import check_call
from lora_sweep.library.noise import StepNoise
from lora_sweep.library.place import Place
from lora_sweep.library.plan import AdapterPlan, run_plan
from lora_sweep.library.shares import CoreShares
from lora_sweep.library.watch import TrainingWatch
from lora_sweep.rules import require
from lora_sweep.training.allocator import PackAllocator
from lora_sweep.training.parameters import LOGITS, start_parameters
from lora_sweep.training.plan import Length
from lora_sweep.vocabulary import LATENT


class LoRAXSAdapter(nn.Module):
    """R and logits of N adapted matrices, and the schedule they are trained by.

    Attributes:
        plan: how ranks are learnt.
        names: of the adapted matrices in the encoder, in module order (N).
        layers: the adapted layers, in module order (N).
        R: latent matrices (N, rank_max, rank_max), start N(0, 1e-5^2). Like the logits it is
            float32, and stays so when the model is cast: its steps are too small for 16 bits.
        logits: allocation logits (N,); not trained where ranks are fixed.
        place: steps taken and length of the schedule.
    """

    _shares: CoreShares
    _watch: TrainingWatch
    _noise: StepNoise
    _kept_allocator: tuple[tuple[int, int, torch.device], PackAllocator] | None

    def __init__(self, layers: dict[str, LoRAXSLinear], plan: AdapterPlan) -> None:
        """Starts at step 0, without a schedule.

        Args:
            layers: name -> adapted layer, in module order.
            plan: how ranks are learnt.
        """
        super().__init__()
        self.plan, self.names = plan, tuple(layers)
        self.layers = tuple(layers.values())  # a tuple: they are the encoder's submodules
        device = self.layers[0].weight.device
        start = start_parameters(
            [run_plan(plan)],
            shapes=self._shapes(),
            spectra=self.spectra(),
            r=plan.rank_max,
            d=1,  # the head that comes with it is not used
            n_labels=1,
        )
        self.R = nn.Parameter(start[LATENT][0].float().to(device))
        is_learnt = not plan.has_fixed_ranks
        self.logits = nn.Parameter(start[LOGITS][0].float().to(device), requires_grad=is_learnt)
        self.place = Place(device)
        self.__dict__.update(self._working_state())
        for layer in self.layers:
            layer.source, layer.dropout = self.core_of, plan.adapter_dropout

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
        self.place.write(0, steps_per_epoch, n_epochs)

    def advance(self) -> None:
        """Counts one optimiser step: call it after every one.

        Warns after the first step if an adapted matrix got no gradient in it.
        """
        self.step += 1
        self._watch.saw_step(self.names)

    @property
    def step(self) -> int:
        """Optimiser steps taken."""
        return self.place.read()[0]

    @step.setter
    def step(self, step: int) -> None:
        _, steps_per_epoch, n_epochs = self.place.read()
        self.place.write(step, steps_per_epoch, n_epochs)

    @property
    def length(self) -> tuple[int, int] | None:
        """Steps an epoch and epochs of the schedule; None before `schedule`."""
        _, steps_per_epoch, n_epochs = self.place.read()
        return (steps_per_epoch, n_epochs) if n_epochs else None

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
        steps_per_epoch = allocator.schedules.length.steps_per_epoch
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

        They are the same however often a step asks for them, with Gumbel noise too.

        Raises:
            RuntimeError: ranks are learnt in training without a schedule.
        """
        if not self.training or self.is_discrete:
            return self._discrete_masks()
        if self.length is None:
            raise RuntimeError(
                "schedule(steps_per_epoch=..., n_epochs=...) must be called before a training "
                "step, but got none: alpha and the budget move along it"
            )
        allocator, step = self._allocator(), self._place()
        if self.plan.allocation.mode.tau > 0:
            allocator.set_noise_states([self._noise.state(step)])
        return allocator.masks(self.logits[None], step, [False])[0]

    def spectra(self) -> Tensor:
        """Returns the leading singular values of every adapted matrix (N, rank_max)."""
        return leading_singular_values(self.layers, self.plan.rank_max)

    def core_of(self, layer: LoRAXSLinear) -> Tensor:
        """Returns the core (1, rank_max, rank_max) of a layer that is called now.

        Raises:
            RuntimeError: the layer is a replica of `nn.DataParallel`, autocast is on, or ranks
                are learnt in training without a schedule.
        """
        check_call(layer)
        has_gradient = torch.is_grad_enabled()
        if self.training:
            name = self.names[self.layers.index(layer)]
            self._watch.saw_layer(name, has_gradient=has_gradient)
        versions = [(id(part), part._version) for part in (self.R, self.logits)]
        origin = (*versions, self.place.version, self.training, has_gradient)
        return self._shares.take(layer, self.layers, origin, self._cores)

    @torch.no_grad()
    def discrete_cores(self) -> Tensor:
        """Returns the cores s (M o R) of evaluation (N, rank_max, rank_max)."""
        return self._scale() * self._discrete_masks() * self.R

    def _cores(self) -> tuple[Tensor, ...]:
        """The cores of all layers now, N tensors (1, rank_max, rank_max)."""
        if self.training:
            if not self.plan.has_fixed_ranks:
                self._watch.saw_masks(self.step, self.R._version)
            if self.is_discrete:
                self.logits.grad = None  # resting logits: no optimiser's momentum moves them on
        scale = torch.tensor([self._scale()], device=self.R.device)
        return cores_by_matrix(self.R[None], self.masks()[None], scale)

    def _scale(self) -> float:
        return self.plan.lora_alpha / self.plan.rank_max

    @torch.no_grad()
    def _discrete_masks(self) -> Tensor:
        return self._allocator().discrete_masks(self._ranks(), self._place())[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Moves with the model (`model.to`, `half`, `cuda`); its numbers keep their type."""

        def moved(values: Tensor) -> Tensor:
            new = fn(values)
            return new if new.dtype == values.dtype else values.to(new.device)

        super()._apply(moved, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *about: Any) -> None:
        """Takes R, logits and place; a state dict of another type is cast, also if assigned."""
        super()._load_from_state_dict(*about)
        for numbers in (self.R, self.logits):
            numbers.data = numbers.data.float()

    def __getstate__(self) -> dict[str, Any]:
        """Returns what a copy or a pickled model has: no graph of a forward pass."""
        return {**self.__dict__, **self._working_state()}

    def _working_state(self) -> dict[str, Any]:
        """What is made as it is needed, empty."""
        return {
            "_shares": CoreShares(),
            "_watch": TrainingWatch(),
            "_noise": StepNoise(self.plan.seed, len(self.names), self.plan.rank_max),
            "_kept_allocator": None,
        }

    def _ranks(self) -> Tensor:
        return self._allocator().ranks(self.logits.detach()[None], self._place())

    def _shapes(self) -> Shapes:
        """Of the adapted matrices."""
        sizes = [layer.weight.shape for layer in self.layers]
        both = zip(self.names, sizes, strict=True)
        return {name: (d_out, d_in) for name, (d_out, d_in) in both}

    def _place(self) -> int:
        """This step, at most the schedule's last."""
        return min(self.step, self._allocator().schedules.length.n_steps)

    def _allocator(self) -> PackAllocator:
        """The allocator of this schedule, on the device where the parameters are now."""
        steps_per_epoch, n_epochs = self.length or (1, self.plan.epochs_discrete + 1)
        key = (steps_per_epoch, n_epochs, self.logits.device)
        if self._kept_allocator is None or self._kept_allocator[0] != key:
            allocator = PackAllocator(
                [run_plan(self.plan)],
                self._shapes(),
                r=self.plan.rank_max,
                length=Length(steps_per_epoch, n_epochs),
                device=self.logits.device,
            )
            self._kept_allocator = key, allocator
        return self._kept_allocator[1]
