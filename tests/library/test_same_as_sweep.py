"""A loop of one's own over the library gives what the sweep's own loop gives."""

import dataclasses
from dataclasses import fields

import pytest
import torch
from torch import nn
from toy import (
    ALLOCATION,
    FIXED,
    RUN,
    STORED,
    changed,
    make_encoder,
    make_texts,
    sizes,
    train,
)
from transformers import RobertaForSequenceClassification, get_linear_schedule_with_warmup

from lora_sweep import AdapterPlan, adapt, parameter_groups
from lora_sweep.allocation.modes.published import Published
from lora_sweep.allocation.modes.soft_topk import SoftTopk
from lora_sweep.data.batches import epoch_order, padded_batch
from lora_sweep.library.adapter import LoRAXSAdapter
from lora_sweep.training.parameters import start_parameters
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import stream_generator

N_EPOCHS, STEPS = 3, 5  # 24 texts in batches of 5
RAMP = dataclasses.replace(
    ALLOCATION, init="quadratic", budget_start=2, budget_hold_epochs=0.4, budget_move_epochs=1.2
)
RUNS = {
    "capped": RUN,
    "soft_topk": changed(RUN, mode=SoftTopk(), init="spectral"),
    "published": changed(RUN, seed=3, mode=Published(tau=0.3)),
    "ramp": dataclasses.replace(RUN, allocation=RAMP),
    "fixed": FIXED,
    "scale": changed(RUN, lora_alpha=40.0),
}
HEAD = {"dense.weight": "head.dense.weight", "dense.bias": "head.dense.bias"}
HEAD |= {"out_proj.weight": "head.out.weight", "out_proj.bias": "head.out.bias"}


def _adapter_plan(run: RunPlan) -> AdapterPlan:
    own = {field.name: getattr(run.allocation, field.name) for field in fields(run.allocation)}
    del own["frozen_ranks"]
    mode = own.pop("mode")
    return AdapterPlan(
        **own, mode=mode.name, tau=mode.tau, seed=run.seed, lora_alpha=run.lora_alpha
    )


def _model(run: RunPlan) -> RobertaForSequenceClassification:
    """The toy encoder's weights under RoBERTa's head, with the start that the run draws."""
    base = make_encoder("roberta", ragged=False).encoder
    model = RobertaForSequenceClassification(base.config)
    model.roberta.load_state_dict(base.state_dict())
    start = start_parameters(
        [run],
        shapes=sizes(8),
        spectra=torch.ones(8, STORED),
        r=STORED,
        d=base.config.hidden_size,
        n_labels=2,
    )
    head = {own: start[name][0] for own, name in HEAD.items()}
    model.classifier.load_state_dict(head)
    return model


def _trained(run: RunPlan) -> tuple[RobertaForSequenceClassification, LoRAXSAdapter]:
    """A loop as a user would write it, over the run's own batches."""
    model, texts = _model(run), make_texts()
    adapter = adapt(model, _adapter_plan(run))
    adapter.schedule(steps_per_epoch=STEPS, n_epochs=N_EPOCHS)
    rates_of = {"lr": run.lr_adapter, "lr_logits": run.lr_logits, "lr_head": run.lr_head}
    groups = parameter_groups(model, **rates_of)
    optimiser = torch.optim.AdamW(groups, weight_decay=run.weight_decay)
    rates = get_linear_schedule_with_warmup(optimiser, 1, STEPS * N_EPOCHS)
    for epoch in range(N_EPOCHS):
        model.train()
        order = epoch_order(24, stream_generator(run.seed, f"order/{epoch}"))
        for index in order.split(5):
            batch = padded_batch(texts.train, index[None], pad_id=1)
            mask, labels = batch.is_real.long(), batch.labels[0]
            model(input_ids=batch.input_ids, attention_mask=mask, labels=labels).loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), run.max_gradient_norm)
            optimiser.step()
            rates.step()
            optimiser.zero_grad()
            adapter.advance()
        model.eval()
    return model, adapter


@pytest.mark.parametrize("name", RUNS)
def test_own_loop_gives_the_sweeps_numbers(name: str) -> None:
    run = RUNS[name]
    encoder = dataclasses.replace(make_encoder("roberta"), pooling="cls")
    sweep = train(run, encoder=encoder)
    model, adapter = _trained(run)
    state, last = sweep.states[0], sweep.evaluations[0][-1]
    torch.testing.assert_close(adapter.R.detach(), state["R"], rtol=0, atol=1e-5)
    if run.allocation.has_logits:
        torch.testing.assert_close(adapter.logits.detach(), state["logits"], rtol=0, atol=1e-5)
        assert not torch.equal(adapter.logits, adapt(_model(run), adapter.plan).logits)
    for own, theirs in HEAD.items():
        values = model.classifier.get_parameter(own).detach()
        torch.testing.assert_close(values, state[theirs], rtol=0, atol=1e-5)
    assert list(adapter.ranks().values()) == pytest.approx(last.ranks, abs=1e-5)
    assert list(adapter.integer_ranks().values()) == last.integer_ranks
    assert (adapter.alpha, adapter.budget_params) == (last.alpha, last.budget_params)


def test_evaluation_predicts_what_the_sweep_predicts() -> None:
    encoder = dataclasses.replace(make_encoder("roberta"), pooling="cls")
    last = train(RUN, encoder=encoder).evaluations[0][-1]
    model, _ = _trained(RUN)
    for part, texts in make_texts().dev.items():
        batch = padded_batch(texts, torch.arange(len(texts))[None], pad_id=1)
        outputs = model(input_ids=batch.input_ids, attention_mask=batch.is_real.long()).logits
        assert outputs.argmax(dim=-1).tolist() == last.predictions[part].tolist()
