"""Training with transformers' Trainer: a callback keeps the adapter's schedule in step."""

from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_sweep.library.parts import find_adapter


class AllocationCallback(TrainerCallback):
    """Lays the schedule out over the Trainer's steps, and moves it on after every one.

    Alpha, budget and discretisation then follow the optimiser steps that the Trainer counts, also
    with gradient accumulation and after `resume_from_checkpoint`. The schedule is one of whole
    epochs: where `max_steps` ends within one, the Trainer's steps are cut into as many equal
    shares, rounded up. Of a data set without a length every step counts as an epoch.
    """

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Schedules the model's adapter.

        Raises:
            ValueError: the model has no adapter, or so few epochs that all are discrete.
        """
        assert model is not None, "the Trainer gives its callbacks the model"
        adapter, steps_per_epoch = find_adapter(model), _steps_per_epoch(state)
        n_epochs = -(-state.max_steps // steps_per_epoch)
        adapter.schedule(steps_per_epoch=steps_per_epoch, n_epochs=n_epochs)
        adapter.step = state.global_step

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Goes to the Trainer's step."""
        assert model is not None, "the Trainer gives its callbacks the model"
        adapter = find_adapter(model)
        adapter.step = state.global_step - 1
        adapter.advance()


def _steps_per_epoch(state: TrainerState) -> int:
    return -(-state.max_steps // state.num_train_epochs)
