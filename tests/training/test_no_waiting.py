"""A training step, run on torch's meta device: tensors there have a place and no values.

So a step that reads a value fails, as does one that mixes devices or asks where values are true;
what else would make a GPU's host wait is refused by `NoWaiting`.
"""

import dataclasses
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toy import BY_IMPORTANCE, FIXED, RUN, SHARED, TOPK, changed, make_encoder, make_texts

from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.allocation.modes.published import Published
from lora_sweep.data.batches import Batch
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.epoch import EpochProgress
from lora_sweep.training.loop import train_step
from lora_sweep.training.pack import Pack
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import CPU, stream_generator

META = torch.device("meta")
PUBLISHED = changed(RUN, seed=4, rank_max=4, mode=Published())
NOISY = changed(RUN, seed=9, mode=Capped(tau=0.5))
MIXED = (RUN, PUBLISHED, FIXED, TOPK, BY_IMPORTANCE, NOISY)


class NoWaiting(TorchDispatchMode):
    """Refuses copies to the device that the host would wait for."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        devices = {tensor.device.type for tensor in (*inputs, *outputs) if tensor.dim() > 0}
        if devices == {"cpu", "meta"} and not (kwargs or {}).get("non_blocking"):
            raise AssertionError(f"{function} waits for a copy to the device")
        return result


class NoNewTensors(TorchFunctionMode):
    """Refuses tensors that are made of Python's numbers on the device: that is such a copy too."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == META:
            raise AssertionError(f"{function.__name__}({args[0]}) waits for a copy to the device")
        if function in (Tensor.__getitem__, Tensor.__setitem__) and args[0].device == META:
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(place, list) for place in places):
                raise AssertionError(f"an index {args[1]} waits for a copy to the device")
        return function(*args, **kwargs)


class Calls(TorchDispatchMode):
    """Counts the operator calls that reach a device."""

    def __init__(self) -> None:
        super().__init__()
        self.n: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.n[str(function)] += 1
        return function(*args, **(kwargs or {}))


class _OnMeta(torch.Generator):
    """A generator that says it is on the meta device, where there is none."""

    device = META


class _Encoder(AdaptedEncoder):
    """An encoder without values, whose spectra are made up."""

    def spectra(self, r: int) -> Tensor:
        return torch.ones(len(self.layers), r)


def make_pack(*plans: RunPlan) -> Pack:
    own = make_encoder(dropout=0.1)
    encoder = _Encoder(**{f.name: getattr(own, f.name) for f in dataclasses.fields(own)})
    encoder.encoder.to(META)
    return Pack(encoder, make_texts(), plans, dataclasses.replace(SHARED, device=META))


def take_step(pack: Pack, epoch: int = 0) -> None:
    batch = next(EpochProgress(pack, 0).batches(pack))
    train_step(pack, batch, epoch, [_OnMeta() for _ in pack.runs])


@pytest.fixture(autouse=True)
def generators_on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(seed: int, name: str, device: torch.device = CPU) -> torch.Generator:
        return _OnMeta() if device == META else stream_generator(seed, name, device)

    monkeypatch.setattr("lora_sweep.training.epoch.stream_generator", stream)


@pytest.mark.parametrize(
    "plans", [(RUN,), (PUBLISHED,), (FIXED,), (TOPK,), (BY_IMPORTANCE,), (NOISY,), MIXED]
)
def test_step_waits_for_nothing(plans: tuple[RunPlan, ...]) -> None:
    pack = make_pack(*plans)
    take_step(pack)  # what a pack tables at its first step
    batch = next(EpochProgress(pack, 0).batches(pack))
    generators = [_OnMeta() for _ in plans]
    with NoNewTensors(), NoWaiting():
        train_step(pack, batch, 0, generators)
    assert pack.step == 2
    assert all(part.device == META for part in pack.parameters.values())


def test_waiting_is_seen() -> None:
    numbers = torch.ones(3)
    with NoNewTensors(), NoWaiting():
        for wait in (
            lambda: numbers.to(META),
            lambda: torch.ones(3, device=META)[[0, 1]],
            lambda: torch.tensor([1.0], device=META),
        ):
            with pytest.raises(AssertionError, match="waits"):
                wait()
        numbers.to(META, non_blocking=True)
        for read in (lambda x: x.tolist(), lambda x: x[x > 0], lambda x: float(x.sum())):
            with pytest.raises((NotImplementedError, RuntimeError)):
                read(torch.ones(3, device=META))
        with pytest.raises(RuntimeError, match="device"):
            numbers + torch.ones(3, device=META)


def test_generators_of_dropout_are_on_the_device() -> None:
    pack = make_pack(RUN, FIXED)
    assert [one.device for one in EpochProgress(pack, 0).drops.values()] == [META, META]


def test_calls_do_not_grow_with_the_runs() -> None:
    """But for the random bits: each run draws its own, for the head, hidden states, attention."""

    def calls(n_runs: int) -> Counter[str]:
        pack = make_pack(*[changed(RUN, seed=seed) for seed in range(n_runs)])
        texts, same = pack.texts.train, torch.arange(5)  # the same texts: as many length groups
        batch: Batch = pack.encoder.batch(texts, same.expand(n_runs, -1))
        generators = [_OnMeta() for _ in range(n_runs)]
        with Calls() as counted:
            train_step(pack, batch, 0, generators)
        return counted.n

    two, many = calls(2), calls(64)
    draws = "aten.random_.from"
    assert two.pop(draws) == 2 * 3
    assert many.pop(draws) == 64 * 3
    assert two == many
