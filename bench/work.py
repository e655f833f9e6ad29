"""What is measured: CoLA's sentences, MiniLM, batch 32, the study's protocol."""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from transformers import AutoConfig, AutoModel

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.inject import STUDY_SUFFIXES, inject
from lora_sweep.adapters.layer import LoRAXSLinear
from lora_sweep.config.run import RunConfig, to_run_config
from lora_sweep.config.store import CONF, task_config
from lora_sweep.data.batches import Batch
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.execution.inputs import base_folder, load_adapted_encoder, load_texts
from lora_sweep.execution.plans import pack_plan, run_plan
from lora_sweep.models.families import family_of
from lora_sweep.plugins import register as register_plugins
from lora_sweep.training.attention import RAGGED, register
from lora_sweep.training.dropout import seed_dropout
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.loop import train_step
from lora_sweep.training.pack import Pack, PackTexts
from lora_sweep.training.seeds import stream_generator

CPU = torch.device("cpu")
RANK = 25
COLA = Path(os.environ.get("LORA_SWEEP_COLA", "../shared/data/cola_public/raw"))


def corpus_overrides() -> list[str]:
    """Returns the settings of the corpus: CoLA where it lies beside the project."""
    if COLA.is_dir():
        return ["experiment=cola_minilm", f"data.path={COLA.resolve()}"]
    return ["data=minimal_pairs", "learning_rate=minilm_cola", "training.batch_size=32"]


def cell(*overrides: str) -> RunConfig:
    """Returns the benchmark's cell, changed by overrides."""
    register_plugins()
    with initialize_config_dir(CONF):
        composed = compose("config", [*corpus_overrides(), "device=cpu", *overrides])
    return to_run_config(task_config(composed))


def load(config: RunConfig) -> tuple[AdaptedEncoder, PackTexts]:
    """Returns the cell's base and tokens."""
    folder = base_folder(config)
    return load_adapted_encoder(config, folder, CPU), load_texts(config, folder)


class Stepper:
    """A pack of K runs of a cell, and its next step."""

    def __init__(
        self,
        config: RunConfig,
        encoder: AdaptedEncoder,
        texts: PackTexts,
        n_runs: int,
        device: torch.device = CPU,
    ) -> None:
        """Starts before the first step of an epoch."""
        plans = [run_plan(config, seed) for seed in range(n_runs)]
        shared = dataclasses.replace(pack_plan(config), device=device)
        self.pack = Pack(encoder, texts, plans, shared)
        self.generators = [stream_generator(seed, "bench", device) for seed in range(n_runs)]
        orders = [stream_generator(seed, "order") for seed in range(n_runs)]
        self.orders = torch.stack(
            [torch.randperm(len(texts.train), generator=order) for order in orders]
        )
        self.n_taken = 0

    def index(self) -> torch.Tensor:
        """Returns the next texts of every run (K, b)."""
        size = self.pack.shared.batch_size
        start = self.n_taken * size % (self.orders.shape[1] - size)
        return self.orders[:, start : start + size]

    def batch(self) -> Batch:
        """Returns the next batch."""
        return self.pack.encoder.batch(self.pack.texts.train, self.index())

    def step(self) -> None:
        """Takes one whole step: data, masks, forward, backward, optimiser."""
        self.pack.encoder.encoder.train()
        self.pack.step = self.n_taken % self.pack.length.n_steps
        train_step(self.pack, self.batch(), 0, self.generators)
        self.n_taken += 1


class Shape(NamedTuple):
    """Sizes of an encoder: layers, hidden size, attention heads."""

    n_layers: int
    d: int
    n_heads: int


def random_config(model_type: str, shape: Shape, *, dropout: float = 0.1) -> Any:
    """Returns the config, as transformers has it, of an encoder of this shape."""
    return AutoConfig.for_model(
        model_type,
        hidden_size=shape.d,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        intermediate_size=4 * shape.d,
        vocab_size=40_000,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


def random_encoder(
    model_type: str,
    shape: Shape,
    *,
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.1,
) -> AdaptedEncoder:
    """Returns a base with random weights: where only its shape counts."""
    register()
    torch.manual_seed(0)
    config = random_config(model_type, shape, dropout=dropout)
    encoder = AutoModel.from_config(  # type: ignore[no-untyped-call]
        config, attn_implementation=RAGGED
    )
    encoder.pooler = None
    layers = inject(
        encoder,
        lambda linear: LoRAXSLinear(linear, lambda w: svd_factors(w, RANK)),
        suffixes=STUDY_SUFFIXES,
    )
    family = family_of(model_type)
    assert family.attention_dropout is not None
    return AdaptedEncoder(
        encoder=encoder.to(device=device, dtype=dtype),
        layers=layers,
        d=shape.d,
        n_heads=shape.n_heads,
        pooling="cls",
        head_dropout=dropout,
        dropout=seed_dropout(encoder, family.attention_dropout),
        pad_id=config.pad_token_id,
        first_position=family.first_position(config.pad_token_id),
        dtype=dtype,
    )


def lengths_of(texts: TokenisedTexts) -> str:
    """Returns how long the texts are, in words."""
    lengths = texts.lengths.double()
    return f"{len(texts)} texts of {lengths.mean():.1f} tokens (longest {int(lengths.max())})"
