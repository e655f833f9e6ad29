import dataclasses

import torch
from classifiers import PLAN, make_model

from lora_sweep import adapt
from lora_sweep.allocation.masks import gumbel_noise
from lora_sweep.library.noise import StepNoise
from lora_sweep.training.seeds import stream_generator


def test_step_has_the_noise_that_drawing_step_by_step_gives_it() -> None:
    generator, noise, taken = stream_generator(7, "gumbel"), StepNoise(7, 3, 4), torch.Generator()
    drawn = [gumbel_noise(3, 4, tau=0.5, generator=generator) for _ in range(5)]
    for step in (0, 1, 1, 4, 2, 3):  # asked for twice, passed over, gone back to
        taken.set_state(noise.state(step))
        assert torch.equal(gumbel_noise(3, 4, tau=0.5, generator=taken), drawn[step])


def test_masks_are_those_of_the_step_however_often_and_when() -> None:
    plan = dataclasses.replace(PLAN, tau=0.5)
    adapter, resumed = (adapt(make_model(), plan).train() for _ in range(2))
    for each in (adapter, resumed):
        each.schedule(steps_per_epoch=5, n_epochs=2)
    first, second = adapter.masks(), adapter.masks()
    assert torch.equal(first, second)
    for _ in range(3):
        adapter.advance()
        adapter.masks()
    resumed.step = 3
    assert torch.equal(resumed.masks(), adapter.masks())
    assert not torch.equal(adapter.masks(), first)
