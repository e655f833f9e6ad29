"""Gradients and inputs of the adapted matrices on some batches, before a run trains.

The base is taken as it is, without adapters, in evaluation mode: nothing is dropped, so the
numbers come from base, head and texts alone, whatever else trains beside the run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lora_sweep.allocation.calibration_inputs import CalibrationInputs
from lora_sweep.data.batches import Batch, epoch_order
from lora_sweep.training.encoder import AdaptedEncoder, head_outputs
from lora_sweep.training.losses import run_losses
from lora_sweep.training.parameters import Parameters
from lora_sweep.training.seeds import stream_generator


def draw_batches(n_texts: int, seed: int, *, n_batches: int, batch_size: int) -> list[Tensor]:
    """Returns which texts to measure, a tensor (b,) a batch; no text is drawn twice.

    Args:
        n_texts: to draw from, at least 1. If they are fewer than asked for, all are taken.
        seed: of the run; the texts have a stream of their own.
        n_batches: most batches.
        batch_size: texts in each; the last one may have fewer.
    """
    order = epoch_order(n_texts, stream_generator(seed, "calibration"))
    return list(torch.split(order[: n_batches * batch_size], batch_size))


@dataclass(frozen=True, eq=False)
class Calibrator:
    """Measures a frozen base on batches.

    Attributes:
        encoder: the base; its layers' cores are taken away, and its mode is set to evaluation.
        head: `head.*`, name -> values (1, ...), on the device.
        batches: of texts, one run's (K = 1), on the CPU.
        rank_max: size at which R is stored.
    """

    encoder: AdaptedEncoder
    head: Parameters
    batches: Sequence[Batch]
    rank_max: int

    @property
    def inputs(self) -> CalibrationInputs:
        """What a calibration may use."""
        return CalibrationInputs(
            weights=[layer.weight for layer in self.encoder.layers.values()],
            gradients=self._gradients,
            activations=self._activations,
            rank_max=self.rank_max,
        )

    def _gradients(self) -> Iterator[Sequence[Tensor]]:
        """Of every batch's mean loss in the weights, N tensors (d_out, d_in)."""
        weights = [layer.weight for layer in self.encoder.layers.values()]
        for batch in self._on_device():
            with _differentiable(weights):
                outputs = head_outputs(self.encoder.pooled(batch, 1), self.head, None)
                loss = run_losses(outputs, batch.labels).sum()
                gradients = torch.autograd.grad(loss, weights)
            yield gradients

    @torch.no_grad()
    def _activations(self) -> Iterator[Sequence[Tensor]]:
        """What goes into the matrices, N tensors (T, d_in), a row a real token."""
        layers = self.encoder.layers
        for batch in self._on_device():
            with _listening(layers) as heard:
                self.encoder.pooled(batch, 1)
            yield [_real_tokens(heard[name], batch) for name in layers]

    def _on_device(self) -> Iterator[Batch]:
        """The batches, with the base as it is."""
        for layer in self.encoder.layers.values():
            layer.update, layer.runs = None, None
        self.encoder.evaluation_mode()
        device = next(iter(self.head.values())).device
        for batch in self.batches:
            yield batch.to(device)


@contextmanager
def _differentiable(weights: Sequence[Tensor]) -> Iterator[None]:
    """Frozen weights can be differentiated in meanwhile."""
    for weight in weights:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(False)


@contextmanager
def _listening(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Name -> what goes into that layer meanwhile."""
    heard: dict[str, Tensor] = {}

    def keep(name: str, given: tuple[Tensor, ...]) -> None:
        heard[name] = given[0]

    handles = [
        layer.register_forward_pre_hook(lambda _, given, name=name: keep(name, given))
        for name, layer in layers.items()
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _real_tokens(x: Tensor, batch: Batch) -> Tensor:
    """A layer's input (..., d_in) -> its real tokens (T, d_in), the first of a ragged batch."""
    rows = x.reshape(-1, x.shape[-1])
    return rows[: sum(batch.n_tokens)] if batch.texts else rows[batch.is_real.flatten()]
