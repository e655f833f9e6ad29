import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from classifiers import PLAN, make_batch, make_model
from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

from lora_sweep import AdapterPlan, AllocationCallback, adapt, find_adapter, parameter_groups


@pytest.mark.parametrize(
    ("max_steps", "n_epochs", "expected"),
    [(12, 3, (4, 3)), (10, 3, (4, 3)), (5, 5, (1, 5)), (7, 2, (4, 2))],
    ids=["whole epochs", "ends within the third", "a step an epoch", "a fraction of an epoch"],
)
def test_schedule_covers_the_trainers_steps(
    max_steps: int, n_epochs: int, expected: tuple[int, int], tmp_path: Path
) -> None:
    model, control = make_model(), TrainerControl()
    adapter, callback = adapt(model, PLAN), AllocationCallback()
    state = TrainerState(max_steps=max_steps, num_train_epochs=n_epochs, global_step=3)
    arguments: Any = None
    callback.on_train_begin(arguments, state, control, model=model)
    assert (adapter.length, adapter.step) == (expected, 3)
    state.global_step = 4
    callback.on_step_end(arguments, state, control, model=model)
    assert adapter.step == 4


def test_one_epoch_that_is_discrete_is_refused() -> None:
    model, control, arguments = make_model(), TrainerControl(), Any
    adapt(model, PLAN)
    state = TrainerState(max_steps=9, num_train_epochs=1)
    with pytest.raises(ValueError, match="n_epochs must be above epochs_discrete=1"):
        AllocationCallback().on_train_begin(arguments, state, control, model=model)


def _rows(n: int) -> list[dict[str, torch.Tensor]]:
    batch = make_batch(n)
    return [{name: values[i] for name, values in batch.items()} for i in range(n)]


def _trainer(folder: Path, n_epochs: int, plan: AdapterPlan = PLAN, **settings: Any) -> Trainer:
    """A Trainer over an adapted model, 3 steps of 2 x 2 texts an epoch."""
    model = make_model()
    adapt(model, plan)
    groups = parameter_groups(model, lr=0.05, lr_logits=0.1, lr_head=0.05)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=n_epochs,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        save_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=3,
        **settings,
    )
    optimiser = torch.optim.AdamW(groups)
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=_rows(12),
        eval_dataset=_rows(4),
        optimizers=(optimiser, None),
        callbacks=[AllocationCallback()],
    )


@pytest.fixture
def trainer_works() -> None:
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")


@pytest.mark.usefixtures("trainer_works")
def test_trainer_learns_ranks_within_the_budget(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, 3, eval_strategy="epoch")
    model = trainer.model
    assert model is not None
    adapter = find_adapter(model)
    start = adapter.ranks()
    trainer.train()
    assert (adapter.length, adapter.step, adapter.alpha) == ((3, 3), 9, 3.0)
    assert adapter.ranks() != start
    spent = sum(rank * rank for rank in adapter.integer_ranks().values())
    assert 8 * 16 - 11 < spent <= 8 * 16


@pytest.mark.usefixtures("trainer_works")
@pytest.mark.parametrize("tau", [0.0, 0.5], ids=["without noise", "noise"])
def test_resumed_trainer_ends_where_the_other_did(tau: float, tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, tau=tau)
    straight, resumed = (_trainer(tmp_path / name, 3, plan) for name in ("a", "b"))
    straight.train()
    checkpoint = tmp_path / "a" / "checkpoint-3"
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert straight.model is not None and resumed.model is not None
    ours, theirs = (find_adapter(trainer.model) for trainer in (resumed, straight))
    assert (ours.step, ours.length) == (theirs.step, theirs.length) == (9, (3, 3))
    torch.testing.assert_close(ours.R, theirs.R, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-6)
