"""A training that ends after so many steps: schedules, epochs, resumption and packs know it.

The toy's epoch has five steps, and its training three epochs.
"""

import dataclasses
import functools
from typing import Any

import pytest
import torch
from toy import (
    BY_IMPORTANCE,
    FIXED,
    RUN,
    SHARED,
    TOPK,
    Listener,
    changed,
    make_encoder,
    make_texts,
    train,
)

from lora_sweep.training.optim import lr_factor
from lora_sweep.training.pack import Pack
from lora_sweep.training.plan import Length

PACK = (RUN, FIXED, TOPK, BY_IMPORTANCE)


@functools.cache
def undisturbed(**length: int) -> Listener:
    """The pack over a dropout of 0.2, trained to its end."""
    return train(*PACK, encoder=make_encoder(dropout=0.2), **length)


def assert_same(ours: Listener, expected: Listener) -> None:
    """The same states and losses, to the bit."""
    assert ours.states.keys() == expected.states.keys()
    for run, state in expected.states.items():
        assert ours.evaluations[run][-1].train_loss == expected.evaluations[run][-1].train_loss
        for name, values in state.items():
            assert torch.equal(ours.states[run][name], values), (run, name)


@pytest.mark.parametrize(
    ("max_steps", "n_steps", "n_epochs", "in_epochs"),
    [
        (None, 15, 3, [5, 5, 5]),
        (7, 7, 2, [5, 2]),
        (5, 5, 1, [5]),
        (1, 1, 1, [1]),
        (15, 15, 3, [5, 5, 5]),
        (99, 15, 3, [5, 5, 5]),
    ],
)
def test_length_by_hand(
    max_steps: int | None, n_steps: int, n_epochs: int, in_epochs: list[int]
) -> None:
    length = Length(5, 3, max_steps)
    assert (length.n_steps, length.n_epochs) == (n_steps, n_epochs)
    assert [length.steps_in(epoch) for epoch in range(n_epochs)] == in_epochs


def test_training_ends_after_the_bound_with_an_evaluation() -> None:
    told = train(*PACK, max_steps=7)
    assert told.steps == list(range(1, 8))
    for run in range(len(PACK)):
        assert [(e.epoch, e.step) for e in told.evaluations[run]] == [(1, 5), (2, 7)]


@pytest.mark.parametrize(("max_steps", "n_epochs"), [(10, 2), (15, 3), (1000, 3)])
def test_bound_at_an_epochs_end_is_a_training_of_so_many_epochs(
    max_steps: int, n_epochs: int
) -> None:
    bounded = train(*PACK, encoder=make_encoder(dropout=0.2), max_steps=max_steps)
    assert_same(bounded, undisturbed(n_epochs=n_epochs))


def test_steps_without_schedules_are_the_first_ones_of_a_longer_training() -> None:
    plan = changed(FIXED, lr_schedule="constant", warmup_fraction=0.0)
    bounded = train(plan, max_steps=7)
    longer = train(plan, stop_after=7).snapshots[0][-1]
    for name, values in bounded.states[0].items():
        assert torch.equal(values, longer.tensors[f"values/{name}"]), name
    # The mean of the two losses of the epoch that is cut off.
    read = longer.total_loss + sum(longer.unread_losses)
    assert bounded.evaluations[0][-1].train_loss == pytest.approx(read / 2)


def test_schedules_end_with_the_last_step() -> None:
    shared = dataclasses.replace(SHARED, max_steps=7)
    pack = Pack(make_encoder(), make_texts(), [RUN], shared)
    schedules = pack.allocator.schedules
    assert schedules.alpha(0) == [RUN.allocation.alpha_min]
    assert schedules.alpha(7) == [RUN.allocation.alpha_max]
    assert [schedules.is_discrete(epoch) for epoch in (0, 1)] == [[False], [True]]
    logits = [RUN.lr_logits * lr_factor("linear", s, 7, warmup_fraction=0.1) for s in range(5)]
    rates = pack._rates[:, 0, 1].tolist()
    assert rates == pytest.approx([*logits, 0.0, 0.0])  # they rest with discrete masks


@pytest.mark.parametrize("stop", range(1, 7))
def test_pack_goes_on_to_the_bit(stop: int) -> None:
    encoder = make_encoder(dropout=0.2)
    bound: dict[str, Any] = {"max_steps": 7}
    stopped = train(*PACK, encoder=encoder, stop_after=stop, **bound)
    start = [stopped.snapshots[run][-1] for run in range(len(PACK))]
    resumed = train(*PACK, encoder=encoder, start=start, **bound)
    assert_same(resumed, undisturbed(**bound))


def test_run_has_the_same_numbers_alone() -> None:
    together = train(*PACK, max_steps=7)
    for run, plan in enumerate(PACK):
        alone = train(plan, max_steps=7)
        for name, values in alone.states[0].items():
            torch.testing.assert_close(together.states[run][name], values, atol=1e-4, rtol=1e-3)
