import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from classifiers import DEBERTA, FAMILIES, PLAN, make_batch, make_model
from torch import nn

from lora_sweep import AdapterPlan, adapt, find_adapter, head_parameters, parameter_groups
from lora_sweep.adapters.layer import LoRAXSLinear

FIXED = AdapterPlan(init="fixed", rank_min=1, rank_max=6, rank_average=4)
families = pytest.mark.parametrize("family", FAMILIES)


@families
def test_family_is_adapted_and_unchanged_by_zero(family: str) -> None:
    model, batch = make_model(family).eval(), make_batch()
    before = model(**batch).logits
    adapter = adapt(model, PLAN, adapted=FAMILIES[family])
    nn.init.zeros_(adapter.R)
    after = model(**batch).logits
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)
    assert len(adapter.names) == 2 * len(FAMILIES[family])


@families
def test_update_is_that_of_a_merged_weight(family: str) -> None:
    model, plain, batch = make_model(family).eval(), make_model(family).eval(), make_batch()
    adapter = adapt(model, PLAN, adapted=FAMILIES[family])
    nn.init.normal_(adapter.R, generator=torch.Generator().manual_seed(0))
    for i, (name, rank) in enumerate(adapter.integer_ranks().items()):
        layer = model.base_model.get_submodule(name)
        assert isinstance(layer, LoRAXSLinear)
        square = adapter.R[i, :rank, :rank].detach()
        update = 16 / 6 * layer.B[:, :rank] @ square @ layer.A[:rank]
        plain.base_model.get_submodule(name).weight.data += update
    merged, ours = plain(**batch).logits, model(**batch).logits
    torch.testing.assert_close(ours, merged, rtol=0, atol=1e-5)
    assert not torch.allclose(ours, make_model(family).eval()(**batch).logits, atol=1e-3)


@families
def test_only_adapter_and_head_get_gradients(family: str) -> None:
    model = make_model(family).train()
    adapter = adapt(model, PLAN, adapted=FAMILIES[family])
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    nn.init.normal_(adapter.R, std=0.1)
    model(**make_batch()).loss.backward()
    trained = {name for name, p in model.named_parameters() if p.grad is not None}
    first = f"{model.base_model_prefix}.{adapter.names[0]}"
    own = {f"{first}.lora_xs.{name}" for name in ("R", "logits")}
    assert trained == own | set(head_parameters(model))
    assert all(not name.startswith(model.base_model_prefix) for name in head_parameters(model))
    assert adapter.R.grad is not None and adapter.R.grad.abs().sum() > 0
    assert adapter.logits.grad is not None and adapter.logits.grad.abs().sum() > 0


@pytest.mark.parametrize("mode", ["capped", "soft_topk"])
def test_evaluation_spends_no_more_than_the_budget(mode: str) -> None:
    model = make_model().eval()
    plan = AdapterPlan(rank_min=1, rank_max=6, rank_average=4, init="randn", mode=mode)
    adapter = adapt(model, plan)
    ranks = adapter.integer_ranks()
    spent = sum(rank * rank for rank in ranks.values())
    assert len(ranks) == 8 and 8 * 16 - 11 < spent <= adapter.budget_params == 8 * 16
    assert sum(rank**2 for rank in adapter.ranks().values()) == pytest.approx(8 * 16)
    masks = adapter.masks()
    for mask, rank in zip(masks, ranks.values(), strict=True):
        expected = torch.zeros(6, 6)
        expected[:rank, :rank] = 1
        torch.testing.assert_close(mask, expected, rtol=0, atol=0)


def test_masks_follow_the_schedule() -> None:
    model = make_model().train()
    adapter = adapt(model, PLAN)
    adapter.schedule(steps_per_epoch=2, n_epochs=3)
    seen = []
    for _ in range(6):
        is_soft = bool(((adapter.masks() > 0) & (adapter.masks() < 1)).any())
        seen.append((adapter.alpha, adapter.is_discrete, is_soft))
        adapter.advance()
    third = 2.5 / 6  # alpha goes from 0.5 to 3 in 6 steps
    assert [alpha for alpha, *_ in seen] == pytest.approx([0.5 + i * third for i in range(6)])
    assert [flags for _, *flags in seen] == [[False, True]] * 4 + [[True, False]] * 2
    assert (adapter.step, adapter.alpha) == (6, 3.0)
    adapter.advance()
    assert adapter.alpha == 3.0  # beyond the end


def test_budget_ramp_is_followed() -> None:
    plan = AdapterPlan(
        rank_min=1, rank_max=6, rank_average=4, budget_start=2.0, budget_move_epochs=1.0
    )
    adapter = adapt(make_model(), plan)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    budgets = []
    for _ in range(3):
        budgets.append(adapter.budget_params)
        adapter.advance()
    assert budgets == [8 * 4, 8 * 10, 8 * 16]


@pytest.mark.parametrize("set_to_none", [True, False])
def test_logits_rest_in_discrete_epochs(set_to_none: bool) -> None:
    model, batch = make_model().train(), make_batch()
    adapter = adapt(model, PLAN)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    groups = parameter_groups(model, lr=0.1, lr_logits=0.1, lr_head=0.1)
    optimiser = torch.optim.AdamW(groups, weight_decay=0.1)
    courses = []
    for _ in range(4):
        courses.append(adapter.logits.detach().clone())
        optimiser.zero_grad(set_to_none=set_to_none)
        model(**batch).loss.backward()
        optimiser.step()
        adapter.advance()
    assert not torch.equal(courses[1], courses[2])
    assert torch.equal(courses[2], courses[3]) and torch.equal(courses[3], adapter.logits)


def test_training_without_a_schedule_is_refused() -> None:
    model = make_model().train()
    adapt(model, PLAN)
    with pytest.raises(RuntimeError, match=r"schedule\(.*must be called before a training step"):
        model(**make_batch())


def test_fixed_ranks_train_without_a_schedule() -> None:
    model = make_model().train()
    adapter = adapt(model, FIXED)
    model(**make_batch()).loss.backward()
    assert adapter.R.grad is not None and adapter.logits.grad is None
    assert set(adapter.integer_ranks().values()) == {4} and adapter.alpha is None
    groups = parameter_groups(model, lr=1.0, lr_logits=2.0, lr_head=3.0)
    assert [group["lr"] for group in groups] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((0, 3), "steps_per_epoch must be at least 1, but got 0"),
        ((2, 0), "n_epochs must be at least 1, but got 0"),
        ((2, 1), "n_epochs must be above epochs_discrete=1, or no rank is learnt, but got 1"),
    ],
)
def test_schedule_that_is_too_short_is_refused(lengths: tuple[int, int], message: str) -> None:
    adapter = adapt(make_model(), PLAN)
    with pytest.raises(ValueError, match=message):
        adapter.schedule(steps_per_epoch=lengths[0], n_epochs=lengths[1])


@pytest.mark.parametrize(
    ("plan", "adapted", "message"),
    [
        (PLAN, DEBERTA, r"model.adapted must name linear layers .*but got 'query_proj'"),
        (
            AdapterPlan(rank_min=1, rank_max=17, rank_average=4),
            FAMILIES["bert"],
            r"layer.0.attention.self.query: rank must be within 1 ... 16 .*but got 17",
        ),
        (
            AdapterPlan(init="values", init_values=(0.0, 1.0)),
            FAMILIES["bert"],
            "init_values must be one logit for each of the 8 adapted matrices, but got 2",
        ),
    ],
)
def test_misfit_leaves_the_model_as_it_was(
    plan: AdapterPlan, adapted: tuple[str, ...], message: str
) -> None:
    model = make_model()
    with pytest.raises(ValueError, match=message):
        adapt(model, plan, adapted=adapted)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(isinstance(part, LoRAXSLinear) for part in model.modules())


def test_second_adapter_is_refused() -> None:
    model = make_model()
    adapt(model, PLAN)
    with pytest.raises(ValueError, match="model must be without an adapter"):
        adapt(model, PLAN)


def test_model_without_an_adapter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model must be adapted by adapt\(model, ...\)"):
        find_adapter(make_model())


def test_negative_rate_is_refused() -> None:
    model = make_model()
    adapt(model, PLAN)
    with pytest.raises(ValueError, match="lr_logits must be at least 0 and finite, but got -1"):
        parameter_groups(model, lr=1.0, lr_logits=-1.0, lr_head=1.0)


def test_given_logits_are_where_training_starts() -> None:
    logits = tuple(float(i) for i in range(8))
    plan = AdapterPlan(rank_min=1, rank_max=6, rank_average=4, init="values", init_values=logits)
    adapter = adapt(make_model(), plan)
    assert tuple(adapter.logits.tolist()) == logits
    ranks = list(adapter.ranks().values())
    assert ranks == sorted(ranks)


def test_cached_factors_give_the_same(tmp_path: Path) -> None:
    models = [make_model().eval() for _ in range(3)]
    adapt(models[0], PLAN)
    for model in models[1:]:
        adapt(model, PLAN, cache_dir=tmp_path)
    assert len(list((tmp_path / "factors").glob("*.safetensors"))) == 8
    first, *others = (model(**make_batch()).logits for model in models)
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=1e-6)


class _Tagger(nn.Module):
    """A module of one's own, not of transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(8, 7)
        self.value = nn.Linear(7, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.value(self.query(x.mT.contiguous().mT).tanh())
        return y


def test_module_of_ones_own_is_adapted_as_a_whole() -> None:
    model = _Tagger().train()
    adapter = adapt(model, PLAN, adapted=("query", "value"))
    adapter.schedule(steps_per_epoch=1, n_epochs=2)
    model(torch.randn(5, 3, 8)).sum().backward()
    assert adapter.names == ("query", "value") and head_parameters(model) == {}
    assert len(parameter_groups(model, lr=1.0, lr_logits=1.0, lr_head=1.0)) == 2


def test_bfloat16_base_keeps_a_float32_core() -> None:
    model, batch = make_model().to(torch.bfloat16).train(), make_batch()
    adapter = adapt(model, PLAN)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    model(**batch).loss.backward()
    assert adapter.R.dtype == torch.float32
    assert adapter.R.grad is not None and adapter.R.grad.dtype == torch.float32


@pytest.mark.filterwarnings("ignore:.*activation_checkpointing_enable:FutureWarning")
def test_gradient_checkpointing_gives_the_same_gradient() -> None:
    gradients = []
    for checkpointed in (False, True):
        model = make_model().train()
        adapter = adapt(model, PLAN)
        adapter.schedule(steps_per_epoch=2, n_epochs=2)
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model(**make_batch()).loss.backward()
        assert adapter.R.grad is not None
        gradients.append(adapter.R.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-6)


def test_autocast_is_refused() -> None:
    model = make_model().eval()
    adapt(model, PLAN)
    with torch.autocast("cpu"), pytest.raises(RuntimeError, match="without autocast, but got it"):
        model(**make_batch())


def test_replica_of_data_parallel_is_refused() -> None:
    model: Any = make_model().eval()
    adapt(model, PLAN)
    for part in model.modules():
        part._is_replica = True  # as torch marks one
    with pytest.raises(RuntimeError, match=r"one device a process, but got nn\.DataParallel"):
        model(**make_batch())


def test_copy_of_a_model_has_an_adapter_of_its_own() -> None:
    model = make_model().eval()
    adapter = adapt(model, PLAN)
    nn.init.normal_(adapter.R)
    twin = copy.deepcopy(model)
    before = twin(**make_batch()).logits
    nn.init.zeros_(adapter.R)
    torch.testing.assert_close(twin(**make_batch()).logits, before, rtol=0, atol=0)
    assert find_adapter(twin) is not adapter


def test_state_dict_keeps_the_step() -> None:
    adapter, other = (adapt(make_model(), PLAN) for _ in range(2))
    adapter.step = 7
    other.load_state_dict(adapter.state_dict())
    assert other.step == 7


def test_adapters_inputs_are_dropped_in_training_alone() -> None:
    plan = dataclasses.replace(PLAN, init="fixed", adapter_dropout=0.5)
    model, batch = make_model().train(), make_batch()
    adapter = adapt(model, plan)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    nn.init.normal_(adapter.R, std=0.5)
    torch.manual_seed(0)
    first, second = model(**batch).logits, model(**batch).logits
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(model(**batch).logits, first)
    plain = make_model().eval()
    own = adapt(plain, dataclasses.replace(plan, adapter_dropout=0.0))
    own.load_state_dict(adapter.state_dict())
    assert torch.equal(model.eval()(**batch).logits, plain(**batch).logits)


@pytest.mark.parametrize("lora_alpha", [4.0, 32.0])
def test_lora_alpha_scales_the_cores(lora_alpha: float) -> None:
    adapter = adapt(make_model(), dataclasses.replace(PLAN, init="fixed", lora_alpha=lora_alpha))
    expected = lora_alpha / 6 * adapter.R.detach()[:, :4, :4]
    torch.testing.assert_close(adapter.discrete_cores()[:, :4, :4], expected)
