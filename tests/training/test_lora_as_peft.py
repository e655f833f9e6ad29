"""A pack of LoRA runs against stock PEFT under transformers' own classifiers, step by step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import get_linear_schedule_with_warmup

from lora_sweep.config.run import RunConfig
from lora_sweep.data.batches import epoch_order, padded_batch
from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.execution.inputs import load_adapted_encoder, load_texts
from lora_sweep.execution.plans import pack_plan, run_plan
from lora_sweep.models.classifier import load_classifier, set_head, stock_head
from lora_sweep.training.epoch import EpochProgress
from lora_sweep.training.loop import train_step
from lora_sweep.training.pack import Pack
from lora_sweep.training.parameters import Parameters, head_part, run_state
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import stream_generator

# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
CPU = torch.device("cpu")
EPOCHS, SIZE = 2, 16
RUNS = (("rank=fixed_2", "seed=0"), ("rank=fixed_4", "seed=1"), ("rank=fixed_8", "seed=2"))
RATES = ("learning_rate.adapter=0.02", "learning_rate.head=0.01", "learning_rate=minilm")


class Peft:
    """Hugging Face's classifier under PEFT's LoRA, which starts as a run of ours does."""

    def __init__(self, base: Path, plan: RunPlan, start: Parameters, *, rslora: bool) -> None:
        peft = pytest.importorskip("peft")
        self.place = stock_head(base, "cls")
        stock = load_classifier(base, ["0", "1"], place=self.place)
        set_head(stock, self.place, head_part(start))
        names = [name.removeprefix("A/") for name in start if name.startswith("A/")]
        config = peft.LoraConfig(
            r=plan.rank_max,
            lora_alpha=plan.lora_alpha,
            target_modules=names,
            use_rslora=rslora,
        )
        self.model: Any = peft.get_peft_model(stock, config).eval()  # evaluation: no dropout
        self.layers = {
            name: self.model.get_submodule(f"base_model.model.{self.place.encoder}.{name}")
            for name in names
        }
        with torch.no_grad():
            for name, layer in self.layers.items():
                layer.lora_A["default"].weight.copy_(start[f"A/{name}"])
                layer.lora_B["default"].weight.copy_(start[f"B/{name}"])
        head = [self.model.get_submodule(f"base_model.model.{name}") for name in self._head_names]
        self.head = [parameter for one in head for parameter in one.parameters()]
        for parameter in self.head:
            parameter.requires_grad_(True)

    @property
    def _head_names(self) -> tuple[str, str]:
        return self.place.dense, self.place.out

    def train(self, texts: TokenisedTexts, plan: RunPlan, pad_id: int) -> list[float]:
        """Trains as the plan says, by torch's own tools; the losses of all steps."""
        pairs = [p for p in self.model.parameters() if p.requires_grad and not self._is_head(p)]
        groups = [
            {"params": pairs, "lr": plan.lr_adapter},
            {"params": self.head, "lr": plan.lr_head},
        ]
        optimiser = torch.optim.AdamW(groups, weight_decay=plan.weight_decay)
        n_steps = EPOCHS * -(-len(texts) // SIZE)
        n_warmup = int(plan.warmup_fraction * n_steps)
        schedule = get_linear_schedule_with_warmup(optimiser, n_warmup, n_steps)
        losses = []
        for epoch in range(EPOCHS):
            order = epoch_order(len(texts), stream_generator(plan.seed, f"order/{epoch}"))
            for index in order.split(SIZE):
                batch = padded_batch(texts, index[None], pad_id=pad_id)
                inputs = {"input_ids": batch.input_ids, "attention_mask": batch.is_real.long()}
                loss = self.model(**inputs, labels=batch.labels[0]).loss
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_([*pairs, *self.head], plan.max_gradient_norm)
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
        return losses

    def _is_head(self, parameter: Tensor) -> bool:
        return any(parameter is own for own in self.head)

    def pairs(self) -> Parameters:
        """A and B of every matrix, named as ours."""
        of_a = {f"A/{n}": layer.lora_A["default"].weight for n, layer in self.layers.items()}
        of_b = {f"B/{n}": layer.lora_B["default"].weight for n, layer in self.layers.items()}
        return {name: weight.detach() for name, weight in (of_a | of_b).items()}


@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize(("family", "rslora"), [("bert", False), ("roberta", True)])
def test_lora_trains_as_peft_does(
    family: str,
    rslora: bool,
    n_runs: int,
    request: pytest.FixtureRequest,
    tiny_run: list[str],
    composed: Callable[..., RunConfig],
) -> None:
    base = request.getfixturevalue({"bert": "tiny_base", "roberta": "tiny_roberta"}[family])
    own = [f"model.path={base}", "model.pooling=cls", "model.dropout=0", "adapter=lora", *RATES]
    own += [f"adapter.rslora={rslora}", f"training.batch_size={SIZE}"]
    unset = [o for o in tiny_run if not o.startswith(("rank.", "model.path", "training.batch"))]
    configs = [composed(*unset, *own, *run) for run in RUNS[-n_runs:]]
    encoder, texts = load_adapted_encoder(configs[-1], base, CPU), load_texts(configs[-1], base)
    plans = [run_plan(config, config.seed) for config in configs]
    pack = Pack(encoder, texts, plans, pack_plan(configs[0]))
    starts = [run_state(pack.parameters, row, plan) for row, plan in enumerate(plans)]
    losses = []
    for epoch in range(EPOCHS):
        progress = EpochProgress(pack, epoch)
        generators = [progress.drops[run] for run in pack.runs]
        losses += [train_step(pack, batch, epoch, generators) for batch in progress.batches(pack)]
    for row, (plan, start) in enumerate(zip(plans, starts, strict=True)):
        stock = Peft(base, plan, start, rslora=rslora)
        expected = stock.train(texts.train, plan, encoder.pad_id)
        found = [float(of_step[row]) for of_step in losses]
        assert found == pytest.approx(expected, abs=1e-5)
        assert max(expected) - min(expected) > 0.01  # it learnt something
        trained = run_state(pack.parameters, row, plan)
        for name, values in stock.pairs().items():
            torch.testing.assert_close(trained[name], values, rtol=0, atol=1e-5)
            assert not torch.equal(trained[name], start[name])
