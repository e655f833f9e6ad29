"""LoRA with learnt ranks: packs, resumes, budgets, masks and cuts, over matrices of two shapes."""

import dataclasses

import pytest
import torch
from toy import BY_IMPORTANCE, RUN, TOPK, changed, make_encoder, sizes, train

from lora_sweep.adapters.kinds.lora import LoRA
from lora_sweep.adapters.kinds.lora_xs import LORA_XS_KIND
from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.allocation.modes.random_square import RandomSquare
from lora_sweep.training.costs import rank_costs
from lora_sweep.training.importance import PackImportance
from lora_sweep.training.plan import RunPlan

LORA = LoRA(rslora=False)


def of_lora(run: RunPlan, **changes: object) -> RunPlan:
    return dataclasses.replace(changed(run, **changes), adapter=LORA)


MODES = {
    "capped": of_lora(RUN, seed=1),
    "noise": of_lora(RUN, seed=2, mode=Capped(tau=0.3)),
    "soft_topk": of_lora(TOPK),
    "importance": of_lora(BY_IMPORTANCE),
    "random_square": of_lora(RUN, seed=4, mode=RandomSquare()),
    "growing": of_lora(RUN, seed=7, budget_start=2.0, budget_move_epochs=1.5),
    "smaller": of_lora(RUN, seed=3, rank_max=4, rank_average=2.3),
}
# A rank of the toy's matrices: three of 32 x 32 and one of 32 x 48 in each of 2 layers.
A_RANK = 2 * (3 * 64 + 80)


@pytest.mark.parametrize("kind", [LORA_XS_KIND, LORA], ids=lambda kind: kind.name)
def test_costs_are_what_the_kind_trains(kind: LoRA) -> None:
    shapes = {"one": (5, 4), "two": (3, 7)}
    costs = rank_costs(kind, shapes)
    for rank in (1, 2, 5):
        assert costs.spent([rank, rank]) == kind.n_params(rank, shapes)
        assert costs.budget(rank, 2) == kind.n_params(rank, shapes)


@pytest.mark.parametrize("mode", MODES)
def test_budget_counts_the_parameters_within_the_ranks(mode: str) -> None:
    plan = MODES[mode]
    told = train(plan, encoder=make_encoder(adapter=LORA)).evaluations[0][-1]
    assert told.budget_params == pytest.approx(plan.allocation.rank_average * A_RANK)
    in_matrices = [(64, 64, 64, 80)[place % 4] for place in range(8)]
    spent = sum(unit * k for unit, k in zip(in_matrices, told.integer_ranks, strict=True))
    assert told.budget_spent_params == spent <= told.budget_params + 1e-6
    assert all(1 <= rank <= plan.rank_max for rank in told.integer_ranks)
    if plan.allocation.has_logits:  # no rounding of the ranks leaves room for one step more
        assert told.budget_params - spent < 64
        cost = sum(unit * rank for unit, rank in zip(in_matrices, told.ranks, strict=True))
        assert cost == pytest.approx(told.budget_params)
        assert told.budget_over_cap_params == 0


@pytest.mark.parametrize("mode", MODES)
def test_pack_gives_what_each_run_gives_alone(mode: str) -> None:
    encoder, plan = make_encoder(adapter=LORA, dropout=0.1), MODES[mode]
    beside = of_lora(RUN, seed=8), of_lora(BY_IMPORTANCE, seed=9)
    together = train(beside[0], plan, beside[1], encoder=encoder)
    alone = train(plan, encoder=encoder)
    for mine, other in zip(together.evaluations[1], alone.evaluations[0], strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, abs=1e-5)
        assert mine.ranks == pytest.approx(other.ranks, abs=1e-4)
        assert mine.integer_ranks == other.integer_ranks
    for name, values in alone.states[0].items():
        torch.testing.assert_close(together.states[1][name], values, rtol=0, atol=2e-5)


@pytest.mark.parametrize("stop", [5, 7], ids=["at-an-epochs-end", "within-an-epoch"])
def test_resumed_pack_ends_with_the_same_bits(stop: int) -> None:
    encoder, plans = make_encoder(adapter=LORA, dropout=0.1), list(MODES.values())
    whole, before = train(*plans, encoder=encoder), train(*plans, encoder=encoder, stop_after=stop)
    start = [before.snapshots[run][-1] for run in range(len(plans))]
    after = train(*plans, encoder=encoder, start=start)
    for run in range(len(plans)):
        assert after.evaluations[run][-1].ranks == whole.evaluations[run][-1].ranks
        for name, values in whole.states[run].items():
            assert torch.equal(after.states[run][name], values)


@pytest.mark.parametrize("mode", ["capped", "soft_topk"])
def test_loss_moves_the_ranks(mode: str) -> None:
    """Without weight decay nothing but the loss can, and with a rate of 0 nothing does."""
    encoder, plan = make_encoder(adapter=LORA), changed(MODES[mode], weight_decay=0.0)
    moved = train(plan, encoder=encoder).evaluations[0][-1].ranks
    still = train(changed(plan, lr_logits=0.0), encoder=encoder).evaluations[0]
    assert still[-1].ranks == pytest.approx(still[0].ranks, abs=1e-9)
    both = zip(moved, still[-1].ranks, strict=True)
    differences = [abs(a - b) for a, b in both if max(a, b) < plan.rank_max - 1e-6]
    assert len(differences) > 4 and min(differences) > 1e-4  # at the cap a logit has no gradient


def test_cut_components_are_out_of_the_model() -> None:
    """What a run ends with evaluates as its parts cut to their ranks, whatever lies beyond."""
    plan, encoder = MODES["importance"], make_encoder(adapter=LORA)
    told = train(plan, encoder=encoder)
    ranks = dict(zip(encoder.layers, told.evaluations[0][-1].integer_ranks, strict=True))
    assert len(set(ranks.values())) > 1
    parts = LORA.trained(told.states[0], ranks, plan.rank_max)
    pairs = LORA.trained_updates(parts, encoder.layers, rank=plan.rank_max, scale=plan.lora_scale)
    masks = torch.zeros(1, 8, 5, 5)
    for place, rank in enumerate(ranks.values()):
        masks[0, place, :rank, :rank] = 1
    state = {name: values[None] for name, values in told.states[0].items()}
    scale = torch.tensor([plan.lora_scale])
    whole = LORA.updater(encoder.layers, 5)(state, masks, scale)
    for cut, full in zip(pairs, whole, strict=True):
        torch.testing.assert_close(cut.B @ cut.A, full.B @ full.A, rtol=0, atol=1e-6)


def test_scale_is_that_of_the_largest_rank() -> None:
    assert MODES["capped"].lora_scale == 16 / 5
    rslora = dataclasses.replace(MODES["capped"], adapter=LoRA(rslora=True))
    assert rslora.lora_scale == pytest.approx(16 / 5**0.5)


def test_component_scores_by_hand() -> None:
    # the mean over a row of A, plus that over the same column of B; two matrices
    entries = {
        "A/one": torch.tensor([[1.0, 3.0], [0.0, 8.0]]),
        "A/two": torch.tensor([[6.0], [1.0]]),
        "B/one": torch.tensor([[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]]),
        "B/two": torch.tensor([[1.0, 5.0]]),
    }
    assert LORA.component_scores(entries).tolist() == [[5.0, 5.0], [7.0, 6.0]]


def test_importance_follows_every_entry_of_both_factors() -> None:
    """Against the averages of AdaLoRA's equations 8 to 10, entry by entry over two steps."""
    shapes = {**sizes(1), "wide": (3, 9)}
    cut = PackImportance([MODES["importance"]], shapes, r=5, device=torch.device("cpu"))
    mode = MODES["importance"].allocation.importance
    assert mode is not None
    generator = torch.Generator().manual_seed(0)
    averages: dict[str, list[float]] = {}
    for _ in range(2):
        drawn = {
            name: torch.randn(2, 1, *shape, generator=generator)
            for name, shape in LORA.parameter_shapes(5, shapes).items()
        }
        values, gradients = ({n: d[i] for n, d in drawn.items()} for i in range(2))
        cut.observe(values, gradients, [1.0], [1.0])
        for name in drawn:
            products = (values[name] * gradients[name]).abs().flatten().tolist()
            known = averages.setdefault(name, [0.0, 0.0] * len(products))
            for i, latest in enumerate(products):
                sensitivity = mode.beta1 * known[2 * i] + (1 - mode.beta1) * latest
                gap = abs(latest - sensitivity)
                uncertainty = mode.beta2 * known[2 * i + 1] + (1 - mode.beta2) * gap
                known[2 * i : 2 * i + 2] = [sensitivity, uncertainty]
    for name, known in averages.items():
        assert cut.sensitivity[name].flatten().tolist() == pytest.approx(known[::2], abs=1e-6)
        assert cut.uncertainty[name].flatten().tolist() == pytest.approx(known[1::2], abs=1e-6)
