"""Blocks that are computed again in the backward pass: the gradients are the same."""

import dataclasses
from typing import Any

import pytest
import torch
from classifiers import PLAN, make_batch, make_model
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lora_sweep import AdapterPlan, adapt

NOISY = dataclasses.replace(PLAN, tau=0.5)
PUBLISHED = dataclasses.replace(PLAN, mode="published", tau=0.3)
SOFT = dataclasses.replace(PLAN, mode="soft_topk")
plans = pytest.mark.parametrize(
    "plan", [PLAN, NOISY, PUBLISHED, SOFT], ids=["capped", "noise", "published", "soft_topk"]
)
ways = pytest.mark.parametrize("use_reentrant", [True, False])


def _gradients(plan: AdapterPlan, settings: dict[str, Any] | None) -> tuple[Tensor, Tensor]:
    """Of R and logits, of two batches of the second step."""
    model = make_model().train()
    adapter = adapt(model, plan)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    nn.init.normal_(adapter.R, std=0.1, generator=torch.Generator().manual_seed(0))
    if settings is not None:
        model.gradient_checkpointing_enable(settings)
        model.enable_input_require_grads()
    model(**make_batch()).loss.backward()
    model.zero_grad()
    adapter.advance()
    for seed in (1, 2):
        model(**make_batch(seed=seed)).loss.backward()
    assert adapter.R.grad is not None and adapter.logits.grad is not None
    assert adapter.logits.grad.abs().min() > 0
    return adapter.R.grad, adapter.logits.grad


@ways
@plans
@pytest.mark.filterwarnings("ignore:.*activation_checkpointing_enable:FutureWarning")
def test_transformers_checkpointing_gives_the_same_gradients(
    plan: AdapterPlan, use_reentrant: bool
) -> None:
    plain = _gradients(plan, None)
    checkpointed = _gradients(plan, {"use_reentrant": use_reentrant})
    for ours, theirs in zip(checkpointed, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


class _Blocks(nn.Module):
    """Three layers, each a block of its own, or the first two one block."""

    def __init__(self, use_reentrant: bool | None) -> None:
        super().__init__()
        self.use_reentrant = use_reentrant
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for block in (lambda x: self.b(self.a(x).tanh()).tanh(), lambda x: self.c(x).tanh()):
            if self.use_reentrant is None:
                x = block(x)
            else:
                x = checkpoint(block, x, use_reentrant=self.use_reentrant)
        return x


@ways
@plans
def test_blocks_of_ones_own_give_the_same_gradients(
    plan: AdapterPlan, use_reentrant: bool
) -> None:
    gradients, x = [], torch.randn(5, 8, requires_grad=True)
    for way in (None, use_reentrant):
        model = _Blocks(way).train()
        adapter = adapt(model, plan, adapted=("a", "b", "c"))
        adapter.schedule(steps_per_epoch=2, n_epochs=2)
        nn.init.normal_(adapter.R, std=0.1, generator=torch.Generator().manual_seed(0))
        model(x).square().sum().backward()
        gradients.append((adapter.R.grad, adapter.logits.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True:UserWarning")
def test_reentrant_checkpoints_without_gradients_are_warned_of() -> None:
    model = _Blocks(True).train()
    adapter = adapt(model, PLAN, adapted=("a", "b", "c"))
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    assert not model(torch.randn(5, 8)).requires_grad
    with pytest.warns(UserWarning, match=r"3 adapted matrices got no gradient .*use_reentrant"):
        adapter.advance()
