"""Tensors that keep their memory from step to step."""

import math

import torch
from torch import Tensor


class Workspace:
    """Memory for what every step makes anew in about the same sizes.

    Large tensors get their memory from the operating system, page by page, at every step; filling
    them then takes several times as long as filling memory that is there.
    """

    def __init__(self) -> None:
        """Starts without memory."""
        self._kept: dict[str, Tensor] = {}

    def take(
        self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Returns a tensor whose values are any finite ones, those of an earlier step perhaps.

        Whoever took it under this name before must be done with it.

        Args:
            name: of its memory, which grows with what is asked for.
            shape: of the tensor.
            dtype: of its values.
            device: where it lies.
        """
        n = math.prod(shape)
        own = self._kept.get(name)
        if own is None or own.numel() < n or (own.dtype, own.device) != (dtype, device):
            # Batches differ in their tokens: an eighth more spares the next one new memory.
            own = self._kept[name] = torch.zeros(n + n // 8, dtype=dtype, device=device)
        return own[:n].view(shape)
