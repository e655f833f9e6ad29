"""Packs of other kinds of adapters: the runs of a pack are as alone, and go on to the bit."""

import dataclasses

import pytest
import torch
from toy import FIXED, Listener, changed, make_encoder, train

from lora_sweep.adapters.kind import AdapterKind
from lora_sweep.adapters.kinds.head_only import HeadOnly
from lora_sweep.adapters.kinds.lora import LoRA
from lora_sweep.adapters.kinds.tiny_lora import TinyLoRA
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.plan import RunPlan

LORA, TINY = LoRA(rslora=False), TinyLoRA(u=4, projection_seed=1)
KINDS = [LORA, LoRA(rslora=True), TINY, HeadOnly()]
IDS = ["lora", "rslora", "tiny_lora", "head_only"]


def encoder_of(kind: AdapterKind, dropout: float = 0.0) -> AdaptedEncoder:
    if kind.has_matrices:
        return make_encoder(adapter=kind, dropout=dropout, adapter_dropout=dropout)
    encoder = make_encoder(dropout=dropout)
    return dataclasses.replace(encoder, layers={})


def plans_of(kind: AdapterKind) -> list[RunPlan]:
    """Three runs with other seeds, rates and ranks; R's size is the same where it must be."""
    own = [
        changed(FIXED, seed=1, lr_adapter=0.01),
        changed(FIXED, seed=2, lr_adapter=0.005, rank_max=4, rank_average=2),
        changed(FIXED, seed=3, lr_adapter=0.005, lr_head=0.03),
    ]
    if not kind.nests:
        own[1] = changed(own[1], rank_max=5)
    return [dataclasses.replace(plan, adapter=kind) for plan in own]


def assert_close(ours: Listener, run: int, alone: Listener, *, atol: float) -> None:
    for mine, other in zip(ours.evaluations[run], alone.evaluations[0], strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, abs=atol)
        assert mine.dev_loss == pytest.approx(other.dev_loss, abs=atol)
    assert ours.states[run].keys() == alone.states[0].keys()
    for name, values in alone.states[0].items():
        torch.testing.assert_close(ours.states[run][name], values, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_pack_gives_what_each_run_gives_alone(kind: AdapterKind) -> None:
    encoder, plans = encoder_of(kind, dropout=0.1), plans_of(kind)
    together = train(*plans, encoder=encoder)
    for run, plan in enumerate(plans):
        assert_close(together, run, train(plan, encoder=encoder), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("stop", [5, 7], ids=["at-an-epochs-end", "within-an-epoch"])
def test_resumed_pack_ends_with_the_same_bits(kind: AdapterKind, stop: int) -> None:
    encoder, plans = encoder_of(kind, dropout=0.1), plans_of(kind)
    whole, before = train(*plans, encoder=encoder), train(*plans, encoder=encoder, stop_after=stop)
    start = [before.snapshots[run][-1] for run in range(3)]
    after = train(*plans, encoder=encoder, start=start)
    for run in range(3):
        for name, values in whole.states[run].items():
            assert torch.equal(after.states[run][name], values)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_only_adapter_and_head_are_trained(kind: AdapterKind) -> None:
    encoder = encoder_of(kind)
    before = {name: values.clone() for name, values in encoder.encoder.state_dict().items()}
    plan = plans_of(kind)[0]
    first, last = train(plan, encoder=encoder, max_steps=1), train(plan, encoder=encoder)
    moved = {n for n, v in last.states[0].items() if not torch.equal(v, first.states[0][n])}
    assert moved == set(last.states[0])
    assert all(torch.equal(encoder.encoder.state_dict()[name], v) for name, v in before.items())


def test_masked_ranks_of_lora_rest() -> None:
    """Of a stored rank 5 with 3 kept, the other rows of A stay, and columns of B zero."""
    plan = dataclasses.replace(changed(FIXED, weight_decay=0.0), adapter=LORA)
    encoder = encoder_of(LORA)
    first = train(plan, encoder=encoder, max_steps=1).states[0]
    last = train(plan, encoder=encoder).states[0]
    for name, values in last.items():
        if name.startswith("A/"):
            assert torch.equal(values[3:], first[name][3:])
            assert not torch.equal(values[:3], first[name][:3])
        if name.startswith("B/"):
            assert not values[:, 3:].any() and values[:, :3].all(dim=0).any()


def test_pack_of_several_kinds_is_refused() -> None:
    other = dataclasses.replace(FIXED, adapter=LORA)
    with pytest.raises(ValueError, match="runs of a pack must have one kind of adapter, but got"):
        train(FIXED, other)


def test_head_only_ends_with_the_base_as_it_was() -> None:
    """Its features are the frozen base's: a LoRA-XS run that trains no R has the same."""
    still = dataclasses.replace(changed(FIXED, lr_adapter=0.0), seed=1)
    alike = dataclasses.replace(still, adapter=HeadOnly())
    ours, theirs = train(alike, encoder=encoder_of(HeadOnly())), train(still)
    for name in (name for name in ours.states[0] if name.startswith("head.")):
        difference = ours.states[0][name] - theirs.states[0][name]
        assert difference.abs().max() < 1e-3  # R starts at 1e-5
    assert ours.evaluations[0][-1].integer_ranks == []
