"""The generator of Gumbel noise at any step: a step's noise depends on seed and step alone.

A step may ask for its masks several times (shares of a batch, blocks computed again in the
backward pass) and must then get the same ones; and a resumed training goes on with the noise it
would have had. A sweep's run draws once a step too, so the noise is that of the run.
"""

from torch import Tensor

from lora_sweep.allocation.masks import gumbel_noise
from lora_sweep.training.seeds import stream_generator


class StepNoise:
    """States of a run's generator of Gumbel noise."""

    def __init__(self, seed: int, n_matrices: int, r: int) -> None:
        """Starts at step 0.

        Args:
            seed: of the run.
            n_matrices: N.
            r: draws a matrix.
        """
        self._seed, self._shape = seed, (n_matrices, r)
        self._step = 0
        self._generator = stream_generator(seed, "gumbel")

    def state(self, step: int) -> Tensor:
        """Returns the generator's state before the draws of a step, from 0 on."""
        if step < self._step:
            self._step, self._generator = 0, stream_generator(self._seed, "gumbel")
        for _ in range(self._step, step):
            gumbel_noise(*self._shape, tau=1.0, generator=self._generator)
        self._step = step
        state: Tensor = self._generator.get_state()
        return state
