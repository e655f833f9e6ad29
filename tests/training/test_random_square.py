"""Runs that train a random leading square of R at every step."""

import dataclasses

import pytest
import torch
from toy import FIXED, RUN, Listener, changed, make_encoder, make_texts, sizes, train

from lora_sweep.allocation.modes.random_square import RandomSquare
from lora_sweep.metrics import metric_values
from lora_sweep.training.allocator import PackAllocator
from lora_sweep.training.plan import Length, RunPlan, Start

SQUARES = changed(RUN, seed=3, mode=RandomSquare())
CPU = torch.device("cpu")


def _masks(*plans: RunPlan, n_steps: int = 40) -> torch.Tensor:
    """Masks that every step trains with (n_steps, K, N, r, r)."""
    length = Length(n_steps, 1)
    own = PackAllocator(plans, sizes(8), r=6, length=length, device=CPU)
    logits = torch.zeros(len(plans), 8)
    discrete = own.schedules.is_discrete(0)
    return torch.stack([own.masks(logits, step, discrete) for step in range(n_steps)])


def test_every_step_trains_one_leading_square_of_all_matrices() -> None:
    masks = _masks(SQUARES)[:, 0]  # (n_steps, N, r, r)
    ranks = masks[:, 0].diagonal(dim1=1, dim2=2).sum(dim=1)
    assert set(ranks.tolist()) == {1, 2, 3, 4, 5}
    for of_step, rank in zip(masks, ranks.int().tolist(), strict=True):
        square = torch.zeros(6, 6)
        square[:rank, :rank] = 1
        assert torch.equal(of_step, square.expand(8, 6, 6))


def test_squares_do_not_depend_on_the_runs_beside() -> None:
    beside = _masks(RUN, SQUARES, FIXED)
    assert torch.equal(beside[:, 1], _masks(SQUARES)[:, 0])
    assert torch.equal(beside[:, 0], _masks(RUN)[:, 0])
    assert not torch.equal(_masks(changed(SQUARES, seed=4)), _masks(SQUARES))


def _expected_curve(told: Listener) -> dict[str, float | None]:
    """Each rank's metric, from a run whose ranks are all fixed at it and that trains nothing."""
    encoder, texts = make_encoder(), make_texts()
    curve = {}
    for rank in range(1, 6):
        still = changed(FIXED, rank_average=rank, lr_adapter=0.0, lr_head=0.0)
        state = told.states[0]
        head = {name: part for name, part in state.items() if name.startswith("head.")}
        plan = dataclasses.replace(still, start=Start({"R": state["R"]}, head))
        (evaluation,) = train(plan, encoder=encoder, n_epochs=1).evaluations[0]
        predicted = [evaluation.predictions[part] for part in texts.headline_parts]
        labels = [texts.dev[part].labels for part in texts.headline_parts]
        both = torch.cat([torch.from_numpy(own) for own in predicted]), torch.cat(labels)
        values = metric_values(("matthews_correlation",), *(one.numpy() for one in both))
        curve[str(rank)] = values["matthews_correlation"]
    return curve


def test_curve_is_that_of_runs_fixed_at_each_rank() -> None:
    squares = changed(SQUARES, lr_adapter=0.3)
    told = train(RUN, squares, FIXED)
    before, middle, last = told.evaluations[1]
    assert before.by_rank is middle.by_rank is None
    alone = train(squares)
    assert last.by_rank == pytest.approx(_expected_curve(alone))
    assert alone.evaluations[0][-1].by_rank == pytest.approx(last.by_rank)
    # the evaluation itself is at rank_average
    assert last.integer_ranks == [3] * 8 and last.budget_params == 8 * 9
    assert last.by_rank is not None
    assert last.metrics["matthews_correlation"] == pytest.approx(last.by_rank["3"])
    assert told.evaluations[0][-1].by_rank is told.evaluations[2][-1].by_rank is None
    assert 1 not in told.ranks  # ranks that stay are not told


def test_fixed_ranks_draw_no_square() -> None:
    fixed = changed(FIXED, mode=RandomSquare())
    assert torch.equal(_masks(fixed), _masks(FIXED))
