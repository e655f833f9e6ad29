"""What a run needs to go on from a step with the very same bits, taken from a pack and put back.

Data order, dropout masks and schedules come from seed and step, so little is to be kept besides
parameters and moments. A run goes on to the bit in a pack of the same runs, at the same size r.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lora_sweep.training.epoch import EpochProgress
from lora_sweep.training.pack import Pack
from lora_sweep.training.parameters import Parameters, own_values

_BANKS = ("values", "first", "second")
_IMPORTANCE = "importance/"
_GUMBEL, _DROPOUT, _TORCH = "generator/gumbel", "generator/dropout", "generator/torch"


@dataclass(frozen=True)
class RunSnapshot:
    """Where one run stands after a step.

    Attributes:
        step: optimiser steps taken.
        n_epochs: epochs evaluated.
        r: rank that the pack's adapters are stored at, R's size.
        tensors: `values/NAME`, `first/NAME` and `second/NAME` (parameter and its moments, an
            adapter's at rank_max), `importance/NAME` of a run that is cut, and states of
            generators; on the CPU.
        total_loss: sum of the losses read in the epoch under way.
        unread_losses: those of the steps since.
    """

    step: int
    n_epochs: int
    r: int
    tensors: dict[str, Tensor]
    total_loss: float = 0.0
    unread_losses: tuple[float, ...] = ()

    @property
    def is_within_epoch(self) -> bool:
        """Whether steps were taken since the last evaluation."""
        return _DROPOUT in self.tensors


def take_snapshots(pack: Pack, n_epochs: int, progress: EpochProgress | None) -> list[RunSnapshot]:
    """Returns where every run that is left stands.

    Args:
        pack: the runs.
        n_epochs: epochs evaluated.
        progress: the epoch under way; None between two.
    """
    noise = pack.allocator.noise_states()
    return [
        RunSnapshot(
            step=pack.step,
            n_epochs=n_epochs,
            r=pack.allocator.r,
            tensors={
                **_bank_row(pack, row),
                **_importance(pack, row),
                _GUMBEL: noise[row],
                **_generators(progress, run),
            },
            total_loss=0.0 if progress is None else progress.totals[run],
            unread_losses=() if progress is None else _unread(progress, row),
        )
        for row, run in enumerate(pack.runs)
    ]


def restore(pack: Pack, snapshots: Sequence[RunSnapshot]) -> EpochProgress:
    """Puts a new pack where its runs stood, and returns the epoch to go on with.

    Args:
        pack: at its start; changed in place.
        snapshots: of its runs, in order, all after the same step.

    Raises:
        ValueError: the snapshots are not of the same step, or don't fit the runs.
    """
    places = {(shot.step, shot.n_epochs, shot.is_within_epoch) for shot in snapshots}
    if len(places) != 1 or len(snapshots) != len(pack.runs):
        raise ValueError(
            f"snapshots must be of {len(pack.runs)} runs after the same step, but got "
            f"{len(snapshots)} after {sorted(place[0] for place in places)}"
        )
    first, bank = snapshots[0], pack.optimiser.bank
    pack.step = pack.optimiser.n_steps = first.step
    values, moments = _bank(pack, snapshots, "values"), pack.optimiser
    bank.load(values)
    moments.first, moments.second = (_bank(pack, snapshots, name) for name in _BANKS[1:])
    pack.allocator.set_noise_states([shot.tensors[_GUMBEL] for shot in snapshots])
    for row, shot in enumerate(snapshots):
        own = {
            name.removeprefix(_IMPORTANCE): part
            for name, part in shot.tensors.items()
            if name.startswith(_IMPORTANCE)
        }
        pack.allocator.importance.set_state(row, own)
    progress = EpochProgress(pack, first.n_epochs)
    if first.is_within_epoch:
        progress.n_done = first.step - first.n_epochs * pack.length.steps_per_epoch
        _restore_progress(pack, progress, snapshots)
    return progress


def _bank_row(pack: Pack, row: int) -> Parameters:
    """Parameters and moments of one run, without padding."""
    plan, optimiser = pack.plans[row], pack.optimiser
    banks = zip(_BANKS, (optimiser.bank.values, optimiser.first, optimiser.second), strict=True)
    tensors = {}
    for bank_name, values in banks:
        for name, part in optimiser.bank.split(values).items():
            own = own_values(plan, name, part[row].detach())
            tensors[f"{bank_name}/{name}"] = own.cpu().clone()
    return tensors


def _bank(pack: Pack, snapshots: Sequence[RunSnapshot], bank_name: str) -> Tensor:
    """One bank (K, P) of all runs; adapters are padded with zeros, which no step ever changes."""
    empty = torch.zeros_like(pack.optimiser.bank.values)
    for name, part in pack.optimiser.bank.split(empty).items():
        for row, (shot, plan) in enumerate(zip(snapshots, pack.plans, strict=True)):
            own = shot.tensors[f"{bank_name}/{name}"]
            place = own_values(plan, name, part[row])
            if place.shape != own.shape:
                raise ValueError(
                    f"{bank_name}/{name} must have the shape {tuple(place.shape)}, but got "
                    f"{tuple(own.shape)}"
                )
            place.copy_(own)
    return empty


def _importance(pack: Pack, row: int) -> Parameters:
    state = pack.allocator.importance.state(row)
    return {f"{_IMPORTANCE}{name}": part for name, part in state.items()}


def _generators(progress: EpochProgress | None, run: int) -> dict[str, Tensor]:
    if progress is None:
        return {}
    states = {f"{_TORCH}/{i}": state for i, state in enumerate(progress.torch_states)}
    return {_DROPOUT: progress.drops[run].get_state(), **states}


def _unread(progress: EpochProgress, row: int) -> tuple[float, ...]:
    return tuple(float(losses[row]) for losses in progress.unread)


def _restore_progress(
    pack: Pack, progress: EpochProgress, snapshots: Sequence[RunSnapshot]
) -> None:
    for run, shot in zip(pack.runs, snapshots, strict=True):
        progress.drops[run].set_state(shot.tensors[_DROPOUT])
        progress.totals[run] = shot.total_loss
    by_step = zip(*(shot.unread_losses for shot in snapshots), strict=True)
    progress.unread = [torch.tensor(row, device=pack.shared.device) for row in by_step]
    names = sorted(name for name in snapshots[0].tensors if name.startswith(_TORCH))
    progress.torch_states = [snapshots[0].tensors[name] for name in names]
