"""Tensors that keep their memory from step to step, on a CPU."""

import math

import torch
from torch import Tensor


class Workspace:
    """Memory for what every step makes anew in about the same sizes.

    On a CPU, large tensors get their memory from the operating system, page by page; filling them
    then takes several times as long as filling memory that is there. On other devices torch keeps
    what is freed for all tensors, so nothing is kept here.
    """

    def __init__(self) -> None:
        """Starts without memory."""
        self._kept: dict[str, Tensor] = {}

    def take(
        self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Returns a tensor with any values, those of an earlier step perhaps.

        Whoever took it under this name before must be done with it.

        Args:
            name: of its memory, which grows with what is asked for.
            shape: of the tensor.
            dtype: of its values.
            device: where it lies.
        """
        if device.type != "cpu":
            return torch.empty(shape, dtype=dtype, device=device)
        n = math.prod(shape)
        own = self._kept.get(name)
        if own is None or own.numel() < n or own.dtype != dtype:
            # Batches differ in their tokens: an eighth more spares the next one new memory.
            own = self._kept[name] = torch.empty(n + n // 8, dtype=dtype)
        return own[:n].view(shape)
