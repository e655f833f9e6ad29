"""A tiny frozen encoder with adapted layers, a toy corpus, and plans of runs."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from classifiers import FAMILIES
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.inject import inject
from lora_sweep.adapters.kind import AdapterKind, Shapes
from lora_sweep.adapters.kinds.lora_xs import LORA_XS_KIND
from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.allocation.modes.importance import Importance
from lora_sweep.allocation.modes.soft_topk import SoftTopk
from lora_sweep.allocation.plan import AllocationPlan
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.models.families import FAMILIES as ROWS
from lora_sweep.models.families import family_of
from lora_sweep.training.attention import RAGGED, register
from lora_sweep.training.dropout import seed_dropout
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.evaluation import Evaluation
from lora_sweep.training.loop import train_pack
from lora_sweep.training.pack import PackTexts
from lora_sweep.training.parameters import Parameters
from lora_sweep.training.plan import PackPlan, RunPlan
from lora_sweep.training.snapshot import RunSnapshot

D, STORED = 32, 8

RAGGED_FAMILIES = [name for name, row in ROWS.items() if row.attention_dropout is not None]
"""Families whose batches may be ragged: every row is tested for what that asks of it."""


def sizes(n: int) -> Shapes:
    """So many matrices; how large they are is of no matter to LoRA-XS."""
    return {f"matrix.{place}": (6, 4) for place in range(n)}


def _factors(weight: Tensor) -> tuple[Tensor, Tensor]:
    return svd_factors(weight, STORED)


def make_encoder(
    family: str = "bert",
    *,
    ragged: bool = True,
    dropout: float = 0.0,
    adapter_dropout: float = 0.0,
    n_layers: int = 2,
    adapter: AdapterKind = LORA_XS_KIND,
) -> AdaptedEncoder:
    """A random encoder with 4 adapted matrices a layer; the same weights at every call."""
    register()
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        hidden_size=D,
        num_hidden_layers=n_layers,
        num_attention_heads=2,
        intermediate_size=48,
        vocab_size=60,
        max_position_embeddings=40,
        type_vocab_size=2,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **({"embedding_size": D // 2} if family == "electra" else {}),
    )
    encoder: Any = AutoModel.from_config(
        config, **({"attn_implementation": RAGGED} if ragged else {})
    )
    encoder.pooler = None
    layers = inject(encoder, lambda one: adapter.layer(one, _factors), suffixes=FAMILIES[family])
    module: nn.Module = encoder
    known = family_of(family)
    if not ragged:
        for layer in layers.values():
            layer.dropout = adapter_dropout
    return AdaptedEncoder(
        encoder=module,
        layers=layers,
        d=D,
        n_heads=2,
        pooling="mean",
        head_dropout=dropout,
        dropout=seed_dropout(module, known.attention_dropout or "", adapter_dropout)
        if ragged
        else None,
        pad_id=config.pad_token_id,
        first_position=known.first_position(config.pad_token_id) if ragged else None,
    )


def make_tokens(n: int, seed: int, *, regression: bool = False) -> TokenisedTexts:
    """Random texts of 3 to 9 tokens; the label says whether the first token is small."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 10, (n,), generator=generator)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    ids = torch.randint(3, 60, (int(offsets[-1]),), generator=generator, dtype=torch.int32)
    labels = (ids[offsets[:-1]] < 30).long()
    values = labels.float() + 0.1 * torch.randn(n, generator=generator)
    return TokenisedTexts(ids, None, offsets, values if regression else labels)


def make_texts(*, regression: bool = False) -> PackTexts:
    """24 training texts and two dev parts."""
    return PackTexts(
        train=make_tokens(24, 1, regression=regression),
        dev={
            name: make_tokens(9, i, regression=regression) for i, name in ((2, "in"), (3, "out"))
        },
        headline_parts=("in", "out"),
        selection=None,
        metrics=("pearson",) if regression else ("matthews_correlation", "accuracy"),
        n_labels=1 if regression else 2,
        is_regression=regression,
    )


ALLOCATION = AllocationPlan(
    rank_min=1,
    rank_max=5,
    rank_average=3,
    init="randn",
    mode=Capped(),
    alpha_schedule="linear",
    alpha_min=0.5,
    alpha_max=3.0,
    epochs_discrete=1,
)
RUN = RunPlan(
    seed=0,
    allocation=ALLOCATION,
    lr_logits=0.05,
    lr_adapter=0.05,
    lr_head=0.01,
    lr_schedule="linear",
    warmup_fraction=0.1,
    weight_decay=0.01,
    max_gradient_norm=1.0,
)


def changed(run: RunPlan, **changes: Any) -> RunPlan:
    """The plan with other numbers, its own or those of its allocation."""
    own = {field.name for field in dataclasses.fields(RunPlan)} & set(changes)
    run = dataclasses.replace(run, **{name: changes.pop(name) for name in own})
    return dataclasses.replace(run, allocation=dataclasses.replace(run.allocation, **changes))


SHARED = PackPlan(
    n_epochs=3,
    batch_size=5,
    evaluation_batch_size=8,
    log_every=2,
    log_ranks_epochs=2,
    device=torch.device("cpu"),
)
FIXED = changed(RUN, init="fixed")
TOPK = changed(RUN, seed=5, mode=SoftTopk())
# 15 steps: cut after steps 3, 5, 7, 9, 11 and 12
BY_IMPORTANCE = changed(
    RUN,
    seed=6,
    mode=Importance(warmup_fraction=0.1, final_fraction=0.2, every=2, beta1=0.8, beta2=0.7),
)


class Listener:
    """An observer that keeps everything it is told, by run, and stops after a step of its own."""

    def __init__(
        self, stop_after: int | None = None, leave: Mapping[int, Collection[int]] | None = None
    ) -> None:
        self.stop_after, self.leave = stop_after, leave or {}
        self.snapshots: dict[int, list[RunSnapshot]] = {}
        self.steps: list[int] = []
        self.ranks: dict[int, list[int]] = {}
        self.evaluations: dict[int, list[Evaluation]] = {}
        self.states: dict[int, Parameters] = {}
        self.failures: dict[int, str] = {}

    def on_step(self, step: int) -> None:
        self.steps.append(step)

    def on_losses(self, losses: dict[int, float]) -> None:
        pass

    def on_ranks(
        self, run: int, step: int, alpha: float | None, budget_params: float, ranks: list[float]
    ) -> None:
        self.ranks.setdefault(run, []).append(step)

    def on_evaluation(self, run: int, evaluation: Evaluation, state: Parameters) -> None:
        self.evaluations.setdefault(run, []).append(evaluation)
        self.states[run] = state

    def on_snapshot(self, run: int, snapshot: RunSnapshot) -> None:
        self.snapshots.setdefault(run, []).append(snapshot)

    def on_failure(self, run: int, error: str) -> None:
        self.failures[run] = error

    def leaving(self) -> Collection[int]:
        return self.leave.get(max(e[-1].epoch for e in self.evaluations.values()), ())

    def wants_stop(self) -> bool:
        return self.stop_after is not None and self.steps[-1] >= self.stop_after


def train(
    *plans: RunPlan,
    regression: bool = False,
    encoder: AdaptedEncoder | None = None,
    start: Sequence[RunSnapshot] = (),
    stop_after: int | None = None,
    leave: Mapping[int, Collection[int]] | None = None,
    selection: str | None = None,
    **shared: Any,
) -> Listener:
    """Trains plans as a pack over the toy encoder and corpus; returns what was told.

    `selection` names the dev part whose texts are the selection split too.
    """
    listener = Listener(stop_after, leave)
    plan = dataclasses.replace(SHARED, **shared)
    texts = make_texts(regression=regression)
    if selection is not None:
        texts = dataclasses.replace(texts, selection=texts.dev[selection])
    train_pack(encoder or make_encoder(), texts, plans, plan, listener, start=start)
    return listener
