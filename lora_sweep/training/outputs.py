"""Texts -> what encoder and heads give for them, in evaluation, and what is predicted by it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lora_sweep.data.batches import evaluation_batches
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.metrics import Array
from lora_sweep.training.encoder import AdaptedEncoder, head_outputs
from lora_sweep.training.parameters import Parameters
from lora_sweep.vocabulary import HEAD_OUT


class EvaluationStoppedError(Exception):
    """Somebody wants an end in the middle of an evaluation; what was trained is as it was."""


@torch.no_grad()
def text_outputs(
    encoder: AdaptedEncoder,
    texts: TokenisedTexts,
    updates: tuple[Any, ...],
    heads: Parameters,
    *,
    batch_size: int,
    wants_stop: Callable[[], bool] = lambda: False,
) -> Tensor:
    """Returns the outputs of K runs (K, n, n_labels), float32, on the device.

    Args:
        encoder: in evaluation mode.
        texts: n of them.
        updates: of the adapted layers (N), of the encoder's dtype.
        heads: the runs' heads, among others, on the device that computes.
        batch_size: texts at once, over all runs.
        wants_stop: whether to end now; asked before every batch, so it must be quick.

    Raises:
        EvaluationStoppedError: it said so.
    """
    bias = heads[f"{HEAD_OUT}.bias"]
    (n_runs, n_labels), device = bias.shape, bias.device
    outputs = torch.empty(n_runs, len(texts), n_labels, device=device)
    for index in evaluation_batches(texts, max(1, batch_size // n_runs)):
        if wants_stop():
            raise EvaluationStoppedError
        batch = encoder.batch(texts, index.expand(n_runs, -1)).to(device)
        features = encoder.features(batch, updates, n_runs)
        outputs[:, index.to(device)] = head_outputs(features, heads, None)
    return outputs


def predictions(outputs: Tensor, *, is_regression: bool) -> Array:
    """Returns predictions (..., n): labels, or values for a regression.

    Args:
        outputs: of the heads (..., n, n_labels).
        is_regression: whether they are values.
    """
    if is_regression:
        return outputs[..., 0].double().cpu().numpy()
    return outputs.argmax(dim=-1).cpu().numpy()
