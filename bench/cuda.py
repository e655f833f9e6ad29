"""RoBERTa-large on a GPU: run-steps per second, share of the products' rate, the study's time.

Random weights do: a step's time does not depend on their values.
"""

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from bench.measure import seconds
from bench.work import Stepper, cell, random_encoder
from lora_sweep.adapters.layer import LoRAXSLinear
from lora_sweep.training.pack import PackTexts

SIZES = (1, 4, 16, 64)
STUDY_RUNS, STUDY_EPOCHS = 110, 50
N_STEPS = 10


def roberta_large(
    texts: PackTexts, device: torch.device, pack_sizes: Sequence[int] = SIZES, **shape: int
) -> list[dict[str, float]]:
    """Returns a line a pack size.

    Args:
        texts: the corpus.
        device: where to measure.
        pack_sizes: runs a pack.
        shape: n_layers, d, n_heads; RoBERTa-large's by default.
    """
    sizes = {"n_layers": 24, "d": 1024, "n_heads": 16} | shape
    encoder = random_encoder("roberta", **sizes, device=device, dtype=torch.bfloat16)
    config = cell("precision=bfloat16")
    return [_line(Stepper(config, encoder, texts, n_runs, device=device)) for n_runs in pack_sizes]


def _line(stepper: Stepper) -> dict[str, float]:
    n_runs, device = len(stepper.pack.runs), stepper.pack.shared.device
    for _ in range(3):
        stepper.step()
    step = statistics.median(seconds(lambda: _waited(stepper)) for _ in range(N_STEPS))
    tokens = sum(stepper.batch().n_tokens)
    flops, products = _products(stepper, tokens, device)
    steps = STUDY_RUNS * STUDY_EPOCHS * stepper.pack.length.steps_per_epoch
    return {
        "K": n_runs,
        "run-steps per second": n_runs / step,
        "TFLOP/s": flops / step / 1e12,
        "share of the products' rate": products / step,
        "study, hours (projected, training only)": steps * step / n_runs / 3600,
    }


def _products(stepper: Stepper, tokens: int, device: torch.device) -> tuple[float, float]:
    """Arithmetic of the frozen products of a step, and the seconds that they alone take."""
    weights: list[Any] = [
        module.weight
        for name, module in stepper.pack.encoder.encoder.named_modules()
        if isinstance(module, nn.Linear | LoRAXSLinear) and name.startswith("encoder.")
    ]
    inputs = {
        d: torch.randn(tokens, d, device=device).bfloat16() for w in weights for d in w.shape
    }

    def products() -> None:
        for weight in weights:
            inputs[weight.shape[1]] @ weight.mT
            inputs[weight.shape[0]] @ weight
        _wait(device)

    products()
    flops = sum(4 * tokens * weight.numel() for weight in weights)
    return flops, statistics.median(seconds(products) for _ in range(N_STEPS))


def _waited(stepper: Stepper) -> None:
    stepper.step()
    _wait(stepper.pack.shared.device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
