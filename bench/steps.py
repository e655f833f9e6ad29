"""Rows of one training step: against padding, the bare base, the machine and bfloat16; masks."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bench.measure import Row, medians, paired
from bench.work import Stepper, cell, load
from lora_sweep.adapters.layer import LoRAXSLinear, set_updates
from lora_sweep.allocation.masks import soft_masks
from lora_sweep.data.batches import Batch, padded_batch
from lora_sweep.execution.inputs import base_folder
from lora_sweep.models.base import load_encoder
from lora_sweep.training.encoder import AdaptedEncoder


def against_padded(stepper: Stepper, n_pairs: int) -> Row:
    """The step against the same step on batches padded to 128 tokens."""
    config = cell()
    plain: Any = load_encoder(
        base_folder(config),
        dropout=config.model.dropout,
        attention=None,
        device=torch.device("cpu"),
    )
    encoder = stepper.pack.encoder
    parts = dict(zip(encoder.layers, encoder.layers.values(), strict=True))
    layers = {}
    for name, layer in parts.items():
        parent, _, child = name.rpartition(".")
        linear = plain.get_submodule(name)
        layers[name] = LoRAXSLinear(linear, lambda _, own=layer: (own.A, own.B))
        setattr(plain.get_submodule(parent), child, layers[name])

    class Padded(AdaptedEncoder):
        def batch(self, texts: Any, index: Tensor) -> Batch:
            return padded_batch(texts, index, pad_id=self.pad_id, length=128)

    fields = {f.name: getattr(encoder, f.name) for f in dataclasses.fields(encoder)}
    changes = {"encoder": plain, "layers": layers, "dropout": None, "first_position": None}
    padded = Stepper(config, Padded(**(fields | changes)), stepper.pack.texts, 1)
    pairs = paired(padded.step, stepper.step, n_pairs=n_pairs)
    return Row(
        "step vs padded",
        "steps per second against our own loop with padding to 128",
        ">= 8",
        [a / b for a, b in pairs],
        medians(pairs),
    )


def against_floor(stepper: Stepper, n_pairs: int) -> Row:
    """The step against forward and backward of the bare frozen base on the same tokens."""
    encoder = stepper.pack.encoder

    def floor() -> None:
        # The tokens of the step that was just taken; no adapter, no dropout, no head.
        stepper.n_taken -= 1
        batch = stepper.batch()
        stepper.n_taken += 1
        set_updates(encoder.layers.values(), [None] * len(encoder.layers))  # type: ignore[list-item]
        encoder.evaluation_mode()
        bare_base(encoder, batch)

    pairs = paired(stepper.step, floor, n_pairs=n_pairs)
    return Row(
        "step vs the floor",
        "the whole step against forward and backward of the bare frozen base, same ragged tokens",
        "<= 1.20",
        [a / b for a, b in pairs],
        medians(pairs),
    )


def bare_base(encoder: AdaptedEncoder, batch: Batch) -> None:
    """Forward and backward of the frozen base, to the first layer's input."""
    assert encoder.first_position is not None
    base: Any = encoder.encoder
    types = {} if batch.token_type_ids is None else {"token_type_ids": batch.token_type_ids}
    with torch.no_grad():
        embedded = base.embeddings(
            input_ids=batch.input_ids,
            position_ids=batch.positions + encoder.first_position,
            **types,
        )
    start = hidden = embedded.requires_grad_()
    for layer in base.encoder.layer:
        hidden = layer(hidden, batch=batch)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    torch.autograd.grad(hidden, start, torch.ones_like(hidden))


def of_the_machine(stepper: Stepper, n_pairs: int) -> Row:
    """The frozen products' arithmetic over the step's time, as a share of these products' rate."""
    encoder = stepper.pack.encoder
    modules = [
        m for name, m in encoder.encoder.named_modules()
        if isinstance(m, nn.Linear | LoRAXSLinear) and name.startswith("encoder.")
    ]  # fmt: skip
    first = 3  # the input of the first layer's query, key and value needs no gradient

    def products() -> None:
        tokens = sum(stepper.batch().n_tokens)
        for i, module in enumerate(modules):
            weight: Any = module.weight
            x = torch.empty(tokens, weight.shape[1]).fill_(0.5)
            nn.functional.linear(x, weight)
            if i >= first:
                y = torch.empty(tokens, weight.shape[0]).fill_(0.5)
                y @ weight

    pairs = paired(stepper.step, products, n_pairs=n_pairs)
    return Row(
        "of the machine",
        "arithmetic of the frozen products (forward, and backward where a gradient is needed) "
        "per second of the whole step, over the rate of the same products alone",
        ">= 0.6",
        [b / a for a, b in pairs],
        medians(pairs),
    )


def bfloat16(stepper: Stepper, n_pairs: int) -> Iterator[Row]:
    """The step in bfloat16 against float32, of one run and of a pack."""
    config = cell("precision=bfloat16")
    encoder, texts = load(config)
    for name, n_runs, bar in (("bfloat16", 1, 1.6), ("bfloat16, pack", 8, 2.8)):
        whole = Stepper(cell(), stepper.pack.encoder, stepper.pack.texts, n_runs)
        half = Stepper(config, encoder, texts, n_runs)
        pairs = paired(whole.step, half.step, n_pairs=n_pairs)
        yield Row(
            name,
            f"steps per second in bfloat16 against float32, K = {n_runs}; where the processor has "
            "instructions for bfloat16",
            f">= {bar}",
            [a / b for a, b in pairs],
            medians(pairs),
        )


def masks(n_pairs: int) -> Row:
    """Soft masks of 96 matrices at rank_max 50, forward and backward."""
    n, low, high = 96, 5, 50
    start = torch.linspace(6, 45, n)
    one = torch.ones(1)

    def ours() -> None:
        ranks = start[None].clone().requires_grad_()
        soft = soft_masks(ranks, one, rank_min=low * one, rank_max=high * one, r=high)
        soft.sum().backward()  # type: ignore[no-untyped-call]

    def definition() -> None:
        ranks = start.clone().requires_grad_()
        soft = torch.stack([_mask_by_definition(rank, low, high) for rank in ranks])
        soft.sum().backward()  # type: ignore[no-untyped-call]

    pairs = paired(definition, ours, n_pairs=n_pairs)
    return Row(
        "masks",
        "soft masks of 96 matrices, rank_max 50, forward + backward, against the loop "
        "of the definition (matrix by matrix, the squares k x k added up weighted by p(k))",
        ">= 50",
        [a / b for a, b in pairs],
        medians(pairs),
    )


def _mask_by_definition(rank: Tensor, low: int, high: int) -> Tensor:
    k = torch.arange(low, high + 1)
    p = torch.softmax(-torch.log(1 + (rank - k) ** 2), dim=0)
    mask = torch.zeros(high, high)
    for weight, size in zip(p, range(low, high + 1), strict=True):
        square = torch.zeros(high, high)
        square[:size, :size] = 1
        mask = mask + weight * square
    return mask
