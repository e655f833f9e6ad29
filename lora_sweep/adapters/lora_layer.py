"""LoRA's layer: a frozen linear layer with a trained pair of factors for each run of a pack.

    y = W x + b + B' A (f o x)            B' = s B diag(m)

W (d_out, d_in) and b (d_out,) are frozen and shared by all runs; A (r, d_in) and B (d_out, r) are
each run's own, and so are its scale s and how much m (r,) it keeps of each rank. f is that of the
adapter's dropout, as in `adapters.layer`, and the tokens belong to the runs as there: all products
of all runs are two batched ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lora_sweep.adapters.layer import AdaptedLinear, by_run, in_line
from lora_sweep.padding import pad


class Pairs(NamedTuple):
    """The factors of K runs: A (K, r, d_in), and B' = s B diag(m), (K, d_out, r)."""

    A: Tensor
    B: Tensor


class LoRALinear(AdaptedLinear):
    """A linear layer with frozen weight that takes a pair of factors for each run.

    Attributes:
        update: the runs' `Pairs`.
    """

    update: Pairs | None

    def forward(self, x: Tensor) -> Tensor:
        """Returns y (..., d_out) for x (..., d_in)."""
        tokens = x.reshape(-1, x.shape[-1])  # (T, d_in)
        y = functional.linear(tokens, self.weight, self.bias)  # (T, d_out)
        if self.update is not None:
            y = y + self._added(tokens, self.update)
        return y.view(*x.shape[:-1], -1)

    def _added(self, tokens: Tensor, pairs: Pairs) -> Tensor:
        """What the adapters add (T, d_out)."""
        kept = self._kept(tokens)
        own = tokens if kept is None else tokens * kept
        own = by_run(own if self.runs is None else pad(own, self.runs), len(pairs.A))
        down = torch.bmm(own, pairs.A.mT)  # (K, n, r)
        return in_line(torch.bmm(down, pairs.B.mT), self.runs)
