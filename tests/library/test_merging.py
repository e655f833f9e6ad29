"""`merge` gives a plain model with the same outputs as the adapted one in evaluation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from classifiers import FAMILIES, PLAN, make_batch, make_model
from torch import nn
from transformers import AutoModelForSequenceClassification

from lora_sweep import AdapterPlan, adapt, find_adapter, merge
from lora_sweep.adapters.layer import LoRAXSLinear


def _adapted(family: str = "bert", plan: AdapterPlan = PLAN) -> Any:
    model = make_model(family).eval()
    adapter = adapt(model, plan, adapted=FAMILIES[family])
    nn.init.normal_(adapter.R, std=0.3, generator=torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_model_gives_the_same_logits(family: str) -> None:
    model, batch = _adapted(family), make_batch()
    before = model(**batch).logits
    assert merge(model) is model
    torch.testing.assert_close(model(**batch).logits, before, rtol=0, atol=1e-5)
    assert not torch.allclose(before, make_model(family).eval()(**batch).logits, atol=1e-3)


def test_merged_model_is_a_plain_one() -> None:
    model, plain = merge(_adapted()), make_model()
    assert [(name, type(part)) for name, part in model.named_modules()] == [
        (name, type(part)) for name, part in plain.named_modules()
    ]
    assert {name: part.shape for name, part in model.state_dict().items()} == {
        name: part.shape for name, part in plain.state_dict().items()
    }
    adapt(model, PLAN)  # and can be adapted again


def test_merged_model_is_saved_as_any_other(tmp_path: Path) -> None:
    model, batch = merge(_adapted()), make_batch()
    model.save_pretrained(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    read = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, attn_implementation="eager"
    ).eval()
    torch.testing.assert_close(read(**batch).logits, model(**batch).logits, rtol=0, atol=1e-6)


def test_merged_weight_keeps_its_type_and_sums_in_float64() -> None:
    """The merged weight is the exact sum, rounded once: at most half of bfloat16's last place."""
    model = make_model().bfloat16()
    adapter = adapt(model, PLAN)
    nn.init.normal_(adapter.R, std=0.3)
    name = adapter.names[0]
    layer = model.base_model.get_submodule(name)
    k = adapter.integer_ranks()[name]
    square = adapter.R[0, :k, :k].detach().double()
    update = 16 / 6 * layer.B[:, :k].double() @ square @ layer.A[:k].double()
    exact = layer.weight.double() + update
    merged = merge(model).get_parameter(f"bert.{name}.weight")
    assert merged.dtype == torch.bfloat16
    assert ((merged.double() - exact).abs() <= 2.0**-8 * exact.abs() * (1 + 1e-4)).all()


def test_layer_without_a_bias_and_with_two_names_is_merged() -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Tanh())
    model.append(model[0])
    adapter = adapt(model, PLAN, adapted="0")
    nn.init.normal_(adapter.R)
    model.eval()
    x = torch.randn(3, 8)
    before = model(x)
    merge(model)
    assert model[0] is model[2] and model[0].bias is None
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-4)


def test_merging_draws_no_random_numbers() -> None:
    model = _adapted()
    state = torch.get_rng_state()
    merge(model)
    assert torch.equal(torch.get_rng_state(), state)


def test_model_without_an_adapter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model must be adapted by adapt\(model, ...\)"):
        merge(make_model())


def test_merged_ranks_are_those_of_the_adapters_step() -> None:
    """With a budget of rank 2 a matrix at step 0, 4 at the end, the two steps differ."""
    plan = AdapterPlan(
        rank_min=1, rank_max=6, rank_average=4, budget_start=2.0, budget_move_epochs=1.0
    )
    weights = []
    for step in (0, 2):
        model = _adapted(plan=plan)
        adapter = find_adapter(model)
        adapter.schedule(steps_per_epoch=2, n_epochs=2)
        adapter.step = step
        names, base = adapter.names, make_model()
        merge(model)
        changes = [
            model.base_model.get_submodule(name).weight
            - base.base_model.get_submodule(name).weight
            for name in names
        ]
        weights.append(sum(int(torch.linalg.matrix_rank(part, rtol=1e-4)) for part in changes))
    assert weights == [8 * 2, 8 * 4]
    assert not any(isinstance(part, LoRAXSLinear) for part in model.modules())
