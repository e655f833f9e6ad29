"""Where a pack stands within an epoch: what is drawn for it, and the losses so far."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lora_sweep.data.batches import Batch, ahead, epoch_order
from lora_sweep.training.pack import Pack
from lora_sweep.training.seeds import stream_generator, stream_seed


class EpochProgress:
    """An epoch under way.

    Attributes:
        epoch: 0 for the first.
        n_done: steps taken in it.
        drops: generator of every run's dropout, by the run's position.
        totals: sum of every run's losses that have been read.
        unread: losses (K,) of the steps since; they are not waited for.
        torch_states: states of torch's own generators, CPU first, from which an encoder that
            drops by them goes on; empty at an epoch's start.
    """

    def __init__(self, pack: Pack, epoch: int) -> None:
        """Stands at the epoch's start; everything is drawn from the runs' own seeds."""
        self.epoch, self.n_done = epoch, 0
        seeds = {run: plan.seed for run, plan in zip(pack.runs, pack.plans, strict=True)}
        self._orders = {
            run: epoch_order(len(pack.texts.train), stream_generator(seed, f"order/{epoch}"))
            for run, seed in seeds.items()
        }
        self.drops = {
            run: stream_generator(seed, f"dropout/{epoch}", pack.shared.device)
            for run, seed in seeds.items()
        }
        self.totals = dict.fromkeys(pack.runs, 0.0)
        self.unread: list[Tensor] = []
        self.torch_states: list[Tensor] = []

    def batches(self, pack: Pack) -> Iterator[Batch]:
        """Returns the batches that are to come, for the runs that are left."""
        size, texts = pack.shared.batch_size, pack.texts.train
        by_run = torch.stack([self._orders[run] for run in pack.runs])  # (K, n)
        indices = torch.split(by_run, size, dim=1)[self.n_done :]
        if pack.shared.device.type != "cuda":
            return (pack.encoder.batch(texts, index) for index in indices)
        return ahead(lambda index: pack.encoder.batch(texts, index).pinned(), indices)

    @contextmanager
    def own_dropout(self, pack: Pack) -> Iterator[None]:
        """An encoder that drops by torch's own generators does so from its one run's seed."""
        if pack.encoder.dropout is not None:
            yield
            return
        device = pack.shared.device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(stream_seed(pack.plans[0].seed, f"dropout/{self.epoch}"))
            if self.torch_states:
                torch.set_rng_state(self.torch_states[0])
                for state in self.torch_states[1:]:
                    torch.cuda.set_rng_state(state, device)
            try:
                yield
            finally:
                on_device = [torch.cuda.get_rng_state(one) for one in devices]
                self.torch_states = [torch.get_rng_state(), *on_device]
