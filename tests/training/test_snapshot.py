"""A training that is stopped at any step and taken up again ends with the same bits."""

import dataclasses
import functools
from collections.abc import Sequence

import pytest
import torch
from sweeps import TORTURE
from toy import (
    ALLOCATION,
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

from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.allocation.modes.random_square import RandomSquare
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.loop import train_pack
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.snapshot import RunSnapshot

NOISY = dataclasses.replace(ALLOCATION, mode=Capped(tau=0.7), epochs_discrete=0)
PACK = (
    RUN,
    changed(RUN, seed=4, rank_max=8, allocation=NOISY),
    changed(FIXED, seed=2, rank_max=4),
    TOPK,
    BY_IMPORTANCE,
    changed(RUN, seed=8, mode=RandomSquare()),
)
DIVERGING = changed(RUN, seed=9, rank_max=7, lr_head=1e30)
N_STEPS = 15  # 24 texts in batches of 5, 3 epochs


def _resumed(plans: Sequence[RunPlan], stop: int, encoder: AdaptedEncoder) -> Listener:
    """Stopped after `stop` steps and taken up again; what was told of both parts."""
    before = train(*plans, encoder=encoder, stop_after=stop)
    assert before.steps[-1] == stop
    left = sorted(set(range(len(plans))) - set(before.failures))
    start = [before.snapshots[run][-1] for run in left]
    after = train(*(plans[run] for run in left), encoder=encoder, start=start)
    assert after.steps == list(range(stop + 1, N_STEPS + 1))
    for new, run in enumerate(left):
        before.evaluations.setdefault(run, []).extend(after.evaluations.get(new, []))
        before.ranks.setdefault(run, []).extend(after.ranks.get(new, []))
        before.failures |= {run: after.failures[new]} if new in after.failures else {}
        before.states[run] = after.states.get(new, before.states.get(run, {}))
    return before


def _assert_equal(ours: Listener, expected: Listener) -> None:
    assert ours.failures == expected.failures
    assert {run: steps for run, steps in ours.ranks.items() if steps} == expected.ranks
    for run, evaluations in expected.evaluations.items():
        for mine, other in zip(ours.evaluations[run], evaluations, strict=True):
            for field in dataclasses.fields(mine):
                value, wanted = getattr(mine, field.name), getattr(other, field.name)
                if field.name == "predictions":
                    value, wanted = (
                        {k: v.tolist() for k, v in x.items()} for x in (value, wanted)
                    )
                assert value == wanted, field.name
        for name, values in expected.states[run].items():
            assert torch.equal(ours.states[run][name], values), name


@functools.cache
def _undisturbed(*plans: RunPlan, **dropout: float) -> Listener:
    return train(*plans, encoder=make_encoder(**dropout))


@pytest.mark.parametrize("stop", range(1, N_STEPS) if TORTURE else (1, 4, 5, 7, 10, 14))
def test_pack_goes_on_to_the_bit_from_any_step(stop: int) -> None:
    dropout = {"dropout": 0.2, "adapter_dropout": 0.2}
    ours = _resumed(PACK, stop, make_encoder(**dropout))
    _assert_equal(ours, _undisturbed(*PACK, **dropout))


class StoppedInEvaluation(Listener):
    """Wants an end before the second batch of the first evaluation."""

    n_asked = 0

    def wants_stop(self) -> bool:
        self.n_asked += self.steps[-1] == 5
        return self.n_asked > 2  # once after the step, once before the first batch


def test_stop_in_an_evaluation_does_not_wait_for_its_end() -> None:
    encoder, listener = make_encoder(dropout=0.2), StoppedInEvaluation()
    assert not train_pack(encoder, make_texts(), PACK, SHARED, listener)
    assert listener.n_asked == 3 and listener.evaluations == {}
    start = [listener.snapshots[run][-1] for run in range(len(PACK))]
    after = train(*PACK, encoder=encoder, start=start)
    after.ranks = {run: steps + after.ranks.get(run, []) for run, steps in listener.ranks.items()}
    _assert_equal(after, train(*PACK, encoder=encoder))


@pytest.mark.parametrize("stop", [3, 5, 12])
def test_run_over_torchs_own_dropout_goes_on_to_the_bit(stop: int) -> None:
    encoder = make_encoder(dropout=0.2, adapter_dropout=0.3, ragged=False)
    torch.manual_seed(1)  # whatever the process drew before
    ours = _resumed([RUN], stop, encoder)
    torch.manual_seed(2)
    _assert_equal(ours, train(RUN, encoder=encoder))


@pytest.mark.parametrize("stop", [1, 4, 5, 9])
def test_pack_goes_on_without_the_run_that_failed(stop: int) -> None:
    plans = (PACK[0], DIVERGING, PACK[2], BY_IMPORTANCE)
    undisturbed = _undisturbed(*plans)
    assert set(undisturbed.failures) == {1}
    _assert_equal(_resumed(plans, stop, make_encoder()), undisturbed)


def test_every_evaluation_is_followed_by_a_snapshot() -> None:
    told = train(RUN, FIXED)
    assert [shot.n_epochs for shot in told.snapshots[1]] == [1, 2, 3]
    assert not any(shot.is_within_epoch for shot in told.snapshots[0])
    last = told.snapshots[0][-1]
    again = train(RUN, FIXED, start=[told.snapshots[run][-1] for run in (0, 1)])
    assert (again.steps, again.evaluations) == ([], {})  # nothing is left to do
    assert last.tensors["values/R"].shape == (8, 5, 5)


def test_runs_of_different_packs_go_on_together() -> None:
    alone = [train(plan, stop_after=7).snapshots[0][-1] for plan in PACK]
    assert [shot.r for shot in alone] == [5, 8, 4, 5, 5, 5]
    together = train(*PACK, start=alone)
    expected = train(*PACK)
    for run in range(len(PACK)):
        ours = together.evaluations[run][-1]
        assert ours.metrics == pytest.approx(expected.evaluations[run][-1].metrics, abs=1e-4)


@pytest.mark.parametrize("wrong", ["steps", "number", "shape"])
def test_snapshots_that_do_not_fit_are_refused(wrong: str) -> None:
    told = train(RUN, FIXED, stop_after=7)
    start: list[RunSnapshot] = [told.snapshots[run][-1] for run in (0, 1)]
    plans: tuple[RunPlan, ...] = (RUN, FIXED)
    match = "snapshots must be of 2 runs after the same step"
    if wrong == "steps":
        start[1] = told.snapshots[1][0]
    elif wrong == "number":
        start.pop()
    else:
        plans, match = (
            (RUN, changed(FIXED, rank_max=4)),
            "values/R must have the shape",
        )
    with pytest.raises(ValueError, match=match):
        train(*plans, start=start)


def test_steps_per_epoch_is_what_the_tests_take_it_for() -> None:
    assert train(RUN).steps[-1] == N_STEPS == 5 * SHARED.n_epochs
