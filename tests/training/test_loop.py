import dataclasses
import shutil

import pytest
import torch
from sweeps import TORTURE
from torch import Tensor, nn
from torch.nn import functional
from toy import (
    ALLOCATION,
    BY_IMPORTANCE,
    FIXED,
    RUN,
    TOPK,
    Listener,
    changed,
    make_encoder,
    make_texts,
    sizes,
    train,
)
from transformers import get_linear_schedule_with_warmup

from lora_sweep.adapters.layer import set_updates
from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.allocation.modes.published import Published
from lora_sweep.allocation.modes.random_square import RandomSquare
from lora_sweep.data.batches import epoch_order
from lora_sweep.training.losses import run_losses
from lora_sweep.training.parameters import start_parameters
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import stream_generator

PUBLISHED = dataclasses.replace(ALLOCATION, mode=Published(), init="quadratic", alpha_max=5.0)
FROZEN = changed(FIXED, seed=7, frozen_ranks=(1, 5, 2, 4, 3, 3, 1, 2))
INDUCTOR = pytest.mark.skipif(
    not TORTURE or shutil.which("g++") is None,
    reason="the long version: make torture, which needs g++ on a CPU",
)
PACK = (
    RUN,
    changed(RUN, seed=4, rank_max=8, allocation=PUBLISHED, lr_logits=0.2, lr_adapter=0.02),
    changed(FIXED, seed=2, rank_max=4, rank_average=4, lr_head=0.03),
    TOPK,
    changed(BY_IMPORTANCE, rank_max=6),
    FROZEN,
    changed(RUN, seed=8, mode=RandomSquare()),
)


def _plain_torch(plan: RunPlan, n_epochs: int) -> dict[str, Tensor]:
    """One fixed-rank run, padded, a text at a time, with torch's own optimiser."""
    encoder, texts = make_encoder(ragged=False), make_texts()
    start = start_parameters(
        [plan], shapes=sizes(8), spectra=None, r=plan.rank_max, d=encoder.d, n_labels=2
    )
    own = {name: nn.Parameter(bank.detach()[0]) for name, bank in start.items()}
    own.pop("logits")
    groups = [{"params": [own.pop("R")], "lr": plan.lr_adapter}]
    R = groups[0]["params"][0]
    groups.append({"params": list(own.values()), "lr": plan.lr_head})
    optimiser = torch.optim.AdamW(groups, weight_decay=plan.weight_decay)
    total = 5 * n_epochs  # 24 texts in batches of 5
    schedule = get_linear_schedule_with_warmup(optimiser, int(0.1 * total), total)
    order = epoch_order(24, stream_generator(plan.seed, "order/0"))
    rank = plan.allocation.rank_average
    for step in range(total):
        kept = torch.zeros_like(R)
        kept[:, :rank, :rank] = 1
        cores = plan.lora_alpha / plan.rank_max * kept * R
        outputs, labels = [], []
        for text in order[5 * step : 5 * step + 5].tolist():
            set_updates(encoder.layers.values(), cores[:, None].unbind(dim=0))
            ids = texts.train.ids[texts.train.offsets[text] : texts.train.offsets[text + 1]]
            mean = encoder.encoder(input_ids=ids.long()[None]).last_hidden_state[0].mean(dim=0)
            dense = functional.linear(mean, own["head.dense.weight"], own["head.dense.bias"])
            out = functional.linear(dense.tanh(), own["head.out.weight"], own["head.out.bias"])
            outputs.append(out)
            labels.append(texts.train.labels[text])
        functional.cross_entropy(torch.stack(outputs), torch.stack(labels)).backward()
        nn.utils.clip_grad_norm_([R, *own.values()], plan.max_gradient_norm)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    return {"R": R.detach(), **{name: value.detach() for name, value in own.items()}}


def _assert_same(ours: Listener, run: int, alone: Listener) -> None:
    for mine, other in zip(ours.evaluations[run], alone.evaluations[0], strict=True):
        assert mine.metrics == pytest.approx(other.metrics, abs=1e-5)
        assert mine.train_loss == pytest.approx(other.train_loss, abs=1e-5)
        assert mine.ranks == pytest.approx(other.ranks, abs=1e-5)
        assert mine.integer_ranks == other.integer_ranks
    for name, values in alone.states[0].items():
        torch.testing.assert_close(ours.states[run][name], values, rtol=0, atol=1e-5)


def test_run_matches_plain_torch() -> None:
    # fixed ranks: three of the four stored
    plan = changed(FIXED, rank_max=4)
    ours = train(plan, n_epochs=1)
    expected = _plain_torch(plan, n_epochs=1)
    assert ours.steps == [1, 2, 3, 4, 5]
    for name, values in expected.items():
        torch.testing.assert_close(ours.states[0][name], values, rtol=0, atol=1e-5)


def test_pack_gives_what_each_run_gives_alone() -> None:
    together = train(*PACK)
    for run, plan in enumerate(PACK):
        _assert_same(together, run, train(plan))


def _neighbours(n: int) -> list[RunPlan]:
    """Runs unlike RUN: other seeds, rank ranges, learning rates, allocation."""
    kinds = (PUBLISHED, ALLOCATION, FIXED.allocation)
    return [
        changed(
            RUN,
            seed=10 + i,
            allocation=kinds[i % 3],
            rank_max=4 + i % 4,
            lr_adapter=0.01 * (i + 1),
            lr_head=0.002 * (i + 1),
        )
        for i in range(n)
    ]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_dropout_does_not_depend_on_the_pack(family: str) -> None:
    def trained(*plans: RunPlan) -> Listener:
        return train(*plans, encoder=make_encoder(family, dropout=0.2), n_epochs=2)

    alone = trained(RUN)
    _assert_same(trained(*_neighbours(1), RUN, *_neighbours(1)), 1, alone)
    _assert_same(trained(*_neighbours(5), RUN, *_neighbours(2)), 5, alone)
    without = train(RUN, encoder=make_encoder(family), n_epochs=2)
    assert alone.evaluations[0][0].train_loss != without.evaluations[0][0].train_loss


def test_adapter_dropout_does_not_depend_on_the_pack() -> None:
    def trained(*plans: RunPlan) -> Listener:
        return train(*plans, encoder=make_encoder(adapter_dropout=0.3), n_epochs=2)

    alone = trained(RUN)
    _assert_same(trained(*_neighbours(1), RUN, *_neighbours(1)), 1, alone)
    without = train(RUN, n_epochs=2)
    assert alone.evaluations[0][0].train_loss != without.evaluations[0][0].train_loss


@pytest.mark.parametrize("lora_alpha", [4.0, 32.0])
def test_lora_alpha_is_the_scale_of_the_update(lora_alpha: float) -> None:
    plan = changed(FIXED, rank_max=4, lora_alpha=lora_alpha)
    expected = _plain_torch(plan, n_epochs=1)
    for name, values in train(plan, n_epochs=1).states[0].items():
        torch.testing.assert_close(values, expected[name], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own insides
@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=INDUCTOR)])
def test_compiled_encoder_gives_the_same(backend: str) -> None:
    encoder = make_encoder("roberta", dropout=0.2, n_layers=1)
    encoder.encoder.compile(dynamic=True, backend=backend)
    compiled = train(RUN, FIXED, encoder=encoder, n_epochs=1)
    plain = train(RUN, encoder=make_encoder("roberta", dropout=0.2, n_layers=1), n_epochs=1)
    _assert_same(compiled, 0, plain)


@pytest.mark.parametrize("what", ["dropout", "adapter_dropout"])
def test_encoder_with_its_own_dropout_trains_one_run_at_a_time(what: str) -> None:
    encoder = make_encoder(ragged=False, **{what: 0.2})
    first, again = (train(RUN, encoder=encoder).evaluations[0] for _ in range(2))
    assert first[-1].train_loss == again[-1].train_loss
    without = train(RUN, encoder=make_encoder(ragged=False))
    assert first[-1].train_loss != without.evaluations[0][-1].train_loss
    with pytest.raises(ValueError, match=r"must train alone .* but got 2 runs"):
        train(RUN, FIXED, encoder=encoder)


def test_same_run_twice_is_the_same_bit_for_bit() -> None:
    first, again = train(RUN), train(RUN)
    for mine, other in zip(first.evaluations[0], again.evaluations[0], strict=True):
        assert mine.metrics == other.metrics and mine.ranks == other.ranks
        assert mine.train_loss == other.train_loss
    assert all(
        torch.equal(first.states[0][name], again.states[0][name]) for name in first.states[0]
    )


def test_failed_run_leaves_and_the_others_go_on() -> None:
    broken = changed(RUN, seed=9, lr_head=1e38)
    together = train(RUN, broken, PACK[2], BY_IMPORTANCE)
    assert set(together.failures) == {1} and 1 not in together.evaluations
    assert "step" in together.failures[1] and "learning_rate.head=1e+38" in together.failures[1]
    _assert_same(together, 0, train(RUN))
    _assert_same(together, 2, train(PACK[2]))
    _assert_same(together, 3, train(BY_IMPORTANCE))


def test_pack_of_failed_runs_ends() -> None:
    listener = train(changed(RUN, lr_head=1e38))
    assert set(listener.failures) == {0} and listener.evaluations == {}


def test_dismissed_run_leaves_and_the_others_go_on() -> None:
    others = [RUN, changed(RUN, seed=2)]
    listener = train(others[0], changed(RUN, seed=9), others[1], leave={2: [1]})
    assert [len(listener.evaluations[run]) for run in range(3)] == [3, 2, 3]
    assert [len(listener.snapshots[run]) for run in range(3)] == [3, 2, 3]
    _assert_same(listener, 0, train(others[0]))
    _assert_same(listener, 2, train(others[1]))


def test_pack_of_dismissed_runs_ends() -> None:
    listener = train(RUN, changed(RUN, seed=2), leave={1: [0, 1]})
    assert [len(listener.evaluations[run]) for run in range(2)] == [1, 1]


def test_logits_rest_in_the_discrete_epochs() -> None:
    learnt = changed(RUN, epochs_discrete=2)
    first, second, third = (e.ranks for e in train(learnt).evaluations[0])
    assert first == second == third
    moving = [e.ranks for e in train(RUN).evaluations[0]]
    assert moving[0] != moving[1] == moving[2]


def test_training_moves_r_head_and_logits_only() -> None:
    encoder_before = make_encoder().encoder.state_dict()
    state = train(RUN).states[0]
    start = start_parameters(
        [RUN], shapes=sizes(8), spectra=torch.ones(8, 5), r=5, d=32, n_labels=2
    )
    assert set(state) == set(start)
    assert all(not torch.equal(state[name], start[name][0]) for name in state)
    assert all(
        torch.equal(v, encoder_before[k]) for k, v in make_encoder().encoder.state_dict().items()
    )


def test_evaluations_tell_budget_and_alpha() -> None:
    # N = 8 at average 3; alpha 0.5 -> 3 over 15 steps
    evaluations = train(RUN).evaluations[0]
    assert [e.alpha for e in evaluations] == pytest.approx([0.5 + 2.5 / 3, 0.5 + 5 / 3, 3.0])
    assert {e.budget_params for e in evaluations} == {8 * 9}
    for e in evaluations:
        assert e.budget_over_cap_params == pytest.approx(0)
        assert e.budget_spent_params == sum(r * r for r in e.integer_ranks) <= 72
        assert set(e.metrics) >= {"accuracy", "accuracy/in", "accuracy/out"}


def test_ranks_are_told_in_the_first_epochs() -> None:
    listener = train(*PACK)
    # 5 steps an epoch, 2 epochs: every second step up to 9; fixed ranks are not told
    assert listener.ranks == {run: [0, 2, 4, 6, 8] for run in (0, 1, 3, 4)}
    assert listener.steps == list(range(1, 16))


def test_growing_budget_is_followed() -> None:
    growing = dataclasses.replace(
        ALLOCATION, budget_start=1, budget_end=4, budget_hold_epochs=1, budget_move_epochs=1
    )
    evaluations = train(changed(RUN, allocation=growing)).evaluations[0]
    assert [e.budget_params for e in evaluations] == [8, 8 * 16, 8 * 16]
    assert [e.settled for e in evaluations] == [False, True, True]
    assert evaluations[0].integer_ranks == [1] * 8


def test_budget_that_never_arrives_is_settled_at_the_end_alone() -> None:
    slow = dataclasses.replace(
        ALLOCATION, budget_start=1, budget_end=4, budget_hold_epochs=1, budget_move_epochs=9
    )
    pack = train(changed(RUN, allocation=slow), RUN, FIXED).evaluations
    assert [e.settled for e in pack[0]] == [False, False, True]
    assert all(e.settled for run in (1, 2) for e in pack[run])


def test_cut_ranks_fall_to_the_average_budget() -> None:
    # N = 8, from rank 5 to average 3: first step down after step 3, the last after step 12
    first, second, last = train(BY_IMPORTANCE).evaluations[0]
    assert [e.budget_params for e in (first, second, last)] == pytest.approx(
        [72 + 128 * (1 - 4 / 11) ** 3, 72 + 128 * (1 - 8 / 11) ** 3, 72]
    )
    assert [e.settled for e in (first, second, last)] == [False, False, True]
    for e, before in ((first, None), (second, first), (last, second)):
        assert e.alpha is None and e.ranks == e.integer_ranks
        assert e.budget_spent_params <= e.budget_params
        most = [5] * 8 if before is None else before.integer_ranks
        assert all(1 <= rank <= old for rank, old in zip(e.integer_ranks, most, strict=True))
    assert last.budget_spent_params > 72 - 2 * 5
    assert len(set(last.integer_ranks)) > 1
    assert "logits" not in train(BY_IMPORTANCE).states[0]


def test_cut_ranks_may_average_to_what_is_no_rank() -> None:
    last = train(changed(BY_IMPORTANCE, rank_average=3.5)).evaluations[0][-1]
    assert last.budget_params == 8 * 3.5**2  # N = 8
    assert last.budget_params - 2 * 5 < last.budget_spent_params <= last.budget_params


def test_soft_topk_meets_the_budget_and_moves() -> None:
    evaluations = train(TOPK).evaluations[0]
    for e in evaluations:
        assert sum(rank**2 for rank in e.ranks) == pytest.approx(72)
        assert e.budget_spent_params <= 72
    assert evaluations[0].ranks != evaluations[1].ranks == evaluations[2].ranks


def test_spectral_logits_come_from_the_weights() -> None:
    encoder = make_encoder()
    plan = changed(RUN, init="spectral", lr_logits=0.0)
    state = train(plan, encoder=encoder).states[0]
    values = [torch.linalg.svdvals(layer.weight)[:5] for layer in encoder.layers.values()]
    energy = torch.stack([s.square().sum() for s in values])
    torch.testing.assert_close(state["logits"].softmax(0), energy / energy.sum())


def test_published_ranks_report_what_is_over_the_cap() -> None:
    steep = dataclasses.replace(PUBLISHED, init="quadratic", budget_start=4, budget_end=4)
    plan = changed(RUN, allocation=steep)
    for e in train(plan).evaluations[0]:
        over = sum(max(0.0, rank**2 - 25) for rank in e.ranks)
        assert e.budget_over_cap_params == pytest.approx(over)


def test_gumbel_noise_changes_the_training() -> None:
    noisy = changed(RUN, mode=Capped(tau=0.5))
    first, again = train(noisy), train(noisy)
    assert first.evaluations[0][0].train_loss == again.evaluations[0][0].train_loss
    assert first.evaluations[0][0].train_loss != train(RUN).evaluations[0][0].train_loss


@pytest.mark.parametrize("selection", [None, "out"])
def test_evaluation_tells_the_mean_loss_over_the_texts(selection: str | None) -> None:
    """A regression's, from what it predicts."""
    texts = make_texts(regression=True).dev
    for told in train(RUN, RUN, regression=True, selection=selection).evaluations[1]:
        errors = {
            name: (told.predictions[name] - part.labels.numpy()) ** 2
            for name, part in texts.items()
        }
        both = [*errors["in"], *errors["out"]]
        assert told.dev_loss == pytest.approx(sum(both) / 18, rel=1e-5)
        expected = None if selection is None else pytest.approx(errors["out"].mean(), rel=1e-5)
        assert told.selection_loss == expected


def test_regression_trains_on_squared_error() -> None:
    evaluations = train(RUN, regression=True, n_epochs=4).evaluations[0]
    assert evaluations[-1].train_loss < evaluations[0].train_loss
    assert set(evaluations[0].metrics) == {"pearson", "pearson/in", "pearson/out"}


def test_losses_by_hand() -> None:
    outputs = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[0.0, 100.0], [100.0, 0.0]]])
    labels = torch.tensor([[0, 1], [1, 0]])
    assert run_losses(outputs, labels).tolist() == pytest.approx([0.693147, 0.0], abs=1e-5)
    values = run_losses(torch.tensor([[[1.0], [3.0]]]), torch.tensor([[0.0, 1.0]]))
    assert values.tolist() == [2.5]


@pytest.mark.parametrize("family", ["roberta", "deberta-v2"])
def test_other_families_train(family: str) -> None:
    encoder = make_encoder(family, ragged=family == "roberta")
    evaluations = train(RUN, encoder=encoder, n_epochs=6).evaluations[0]
    assert evaluations[-1].train_loss < evaluations[0].train_loss


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_trains_as_the_cpu_does() -> None:
    cuda = torch.device("cuda")
    encoder = make_encoder()
    encoder.encoder.to(cuda)
    ours, expected = train(*PACK, encoder=encoder, device=cuda), train(*PACK)
    for run in range(len(PACK)):
        for mine, other in zip(ours.evaluations[run], expected.evaluations[run], strict=True):
            assert mine.train_loss == pytest.approx(other.train_loss, abs=1e-3)


def test_frozen_ranks_stay_and_are_paid_for() -> None:
    evaluations = train(FROZEN).evaluations[0]
    assert [e.integer_ranks for e in evaluations] == [[1, 5, 2, 4, 3, 3, 1, 2]] * 3
    assert {(e.budget_params, e.budget_spent_params) for e in evaluations} == {(69.0, 69)}


def test_equal_frozen_ranks_are_fixed_ranks() -> None:
    frozen = changed(FIXED, rank_average=1, frozen_ranks=(3,) * 8)
    own, other = train(frozen).states[0], train(FIXED).states[0]
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_frozen_ranks_must_be_one_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"one rank a matrix, 8, but got 2"):
        train(changed(FROZEN, frozen_ranks=(1, 2)))
