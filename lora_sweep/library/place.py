"""Where a training stands in its schedule, as a part of the model that is saved and copied."""

import torch
from torch import Tensor, nn


class Place(nn.Module):
    """Steps taken, steps an epoch, and epochs; without a schedule the last two are 0.

    Attributes:
        numbers: the three (3,), int64. A buffer, so that averages of models, which follow the
            buffers of theirs, follow the schedule.
    """

    numbers: Tensor

    def __init__(self, device: torch.device) -> None:
        """Starts at step 0, without a schedule."""
        super().__init__()
        self.register_buffer("numbers", torch.zeros(3, dtype=torch.long, device=device))
        self._read: tuple[tuple[int, int], tuple[int, int, int]] | None = None

    @property
    def version(self) -> tuple[int, int]:
        """Another one whenever the numbers have been written, by anybody."""
        return id(self.numbers), self.numbers._version

    def read(self) -> tuple[int, int, int]:
        """Returns the three; waits for the device only where somebody else has written them."""
        if self._read is None or self._read[0] != self.version:
            step, steps_per_epoch, n_epochs = self.numbers.tolist()
            self._read = self.version, (step, steps_per_epoch, n_epochs)
        return self._read[1]

    def write(self, step: int, steps_per_epoch: int, n_epochs: int) -> None:
        """Takes the three."""
        numbers = step, steps_per_epoch, n_epochs
        for i, number in enumerate(numbers):
            self.numbers[i] = number
        self._read = self.version, numbers
