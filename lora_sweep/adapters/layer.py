"""The LoRA-XS layer: a frozen linear layer with a low-rank update for each run of a pack.

    y = W x + b + s B (M o R) A x

W (d_out, d_in), b (d_out,), A (r_stored, d_in) and B (d_out, r_stored) are frozen and shared by
all runs. What differs between runs is the core s (M o R) (r, r) alone: scale times mask times
latent matrix. A pack of K runs gives a layer the cores (K, r, r), r <= r_stored; the layer uses
the leading r rows of A and columns of B, which are the factors of rank r.

The tokens of the input belong to the runs, run after run: in equal shares, x (K n, ..., d_in), or
in shares of their own, x (1, T, d_in), with a `RunLayout` that says whose they are.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class RunLayout(NamedTuple):
    """How the tokens (T,) of K runs lie in a layout with a row a run (K, T_max).

    Attributes:
        place: which place of that layout, flattened, each token has (T,).
        length: T_max, the tokens of the longest run.
    """

    place: Tensor
    length: int


class LoRAXSLinear(nn.Module):
    """A linear layer with frozen weight, frozen factors and a core for each run.

    Attributes:
        cores: s (M o R) of every run (K, r, r), set before a forward pass; None leaves the
            frozen layer as it is.
        layout: whose tokens are whose; None for equal shares.
    """

    weight: Tensor
    bias: Tensor | None
    A: Tensor
    B: Tensor

    def __init__(self, linear: nn.Linear, A: Tensor, B: Tensor) -> None:
        """Takes over a linear layer's weight and bias and freezes them.

        Args:
            linear: the layer to adapt, W (d_out, d_in).
            A: input factor (r_stored, d_in).
            B: output factor (d_out, r_stored).

        Raises:
            ValueError: the factors' shapes don't fit the weight's.
        """
        super().__init__()
        d_out, d_in = linear.weight.shape
        if A.shape != (B.shape[1], d_in) or B.shape[0] != d_out:
            raise ValueError(
                f"A and B must be (r, {d_in}) and ({d_out}, r), "
                f"but got {tuple(A.shape)} and {tuple(B.shape)}"
            )
        bias = linear.bias
        self.register_buffer("weight", linear.weight.detach())
        self.register_buffer("bias", None if bias is None else bias.detach())
        self.register_buffer("A", A, persistent=False)
        self.register_buffer("B", B, persistent=False)
        self.cores: Tensor | None = None
        self.layout: RunLayout | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Returns y (..., d_out) for x (..., d_in)."""
        base = functional.linear(x, self.weight, self.bias)
        if self.cores is None:
            return base
        r = self.cores.shape[-1]
        down = functional.linear(x, self.A[:r]).view(-1, r)  # (T, r)
        latent = self._mix(down, self.cores.mT.to(down.dtype))  # (T, r)
        flat = base.view(-1, base.shape[-1])  # (T, d_out)
        return torch.addmm(flat, latent, self.B[:, :r].mT).view_as(base)

    def _mix(self, down: Tensor, cores: Tensor) -> Tensor:
        """Each token's row (T, r) times its run's matrix (K, r, r)."""
        n_runs, r, _ = cores.shape
        if self.layout is None:
            return torch.bmm(down.view(n_runs, -1, r), cores).view(-1, r)
        place, length = self.layout
        by_run = down.new_zeros(n_runs * length, r).index_copy(0, place, down)
        mixed = torch.bmm(by_run.view(n_runs, length, r), cores)  # (K, T_max, r)
        return mixed.view(-1, r).index_select(0, place)


def cores_by_matrix(R: Tensor, masks: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
    """Returns the cores s (M o R) of a pack, one tensor (K, r, r) for each adapted matrix.

    Args:
        R: latent matrices (K, N, r, r).
        masks: masks (K, N, r, r).
        scale: s of every run (K,).
    """
    return (scale[:, None, None, None] * masks * R).unbind(dim=1)


def set_cores(
    layers: Iterable[LoRAXSLinear], cores: Iterable[Tensor], layout: RunLayout | None = None
) -> None:
    """Gives every layer its cores (K, r, r), in the same order, and all the same layout.

    Raises:
        ValueError: there are not as many cores as layers.
    """
    for layer, core in zip(layers, cores, strict=True):
        layer.cores, layer.layout = core, layout
