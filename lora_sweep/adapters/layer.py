"""The LoRA-XS layer: a frozen linear layer with a low-rank update for each run of a pack.

    y = W x + b + s B (M o R) A (f o x)

W (d_out, d_in), b (d_out,), A (r_stored, d_in) and B (d_out, r_stored) are frozen and shared by
all runs. What differs between runs is the core s (M o R) (r, r) alone: scale times mask times
latent matrix. A pack of K runs gives a layer the cores (K, r, r), r <= r_stored; the layer uses
the leading r rows of A and columns of B, which are the factors of rank r. f (T, d_in) is that of
the adapter's dropout, 0 or 1 / (1 - p); without dropout it is 1.

A and B are made of W, so they follow it: weights that a state dict brings are factorised anew.

The tokens of the input belong to the runs, run after run: in equal shares, x (K n, ..., d_in), or
in shares of their own, x (1, T, d_in), with a padding that gives each run a row of T_max places.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lora_sweep.padding import Padding, pad, unpad, zero_padded

Factorise = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Weight (d_out, d_in) -> A (r_stored, d_in), B (d_out, r_stored)."""


class LoRAXSLinear(nn.Module):
    """A linear layer with frozen weight, frozen factors and a core for each run.

    Attributes:
        cores: s (M o R) of every run (K, r, r), set before a forward pass; None leaves the
            frozen layer as it is.
        runs: tokens (T) <-> a row a run (K T_max); None for equal shares.
        kept: what the adapter's input is multiplied by in the next forward pass (T, d_in), f; None
            where nothing is dropped.
        dropout: probability of a zero in f where nobody gives it; it is then drawn in training, by
            torch's own generator.
        source: asked for the cores at every forward pass, in place of `cores`; None for none.
    """

    weight: Tensor
    bias: Tensor | None
    A: Tensor
    B: Tensor

    def __init__(self, linear: nn.Linear, factorise: Factorise) -> None:
        """Takes over a linear layer's weight and bias, freezes and factorises them.

        Args:
            linear: the layer to adapt, W (d_out, d_in).
            factorise: W -> A (r_stored, d_in), B (d_out, r_stored).

        Raises:
            ValueError: the weight can't be factorised, or the factors' shapes don't fit it.
        """
        super().__init__()
        bias = linear.bias
        self.register_buffer("weight", linear.weight.detach())
        self.register_buffer("bias", None if bias is None else bias.detach())
        self.register_buffer("A", None, persistent=False)
        self.register_buffer("B", None, persistent=False)
        self.factorise = factorise
        self.cores: Tensor | None = None
        self.runs: Padding | None = None
        self.kept: Tensor | None = None
        self.dropout = 0.0
        self.source: Callable[[LoRAXSLinear], Tensor] | None = None
        self._derive_factors()

    def forward(self, x: Tensor) -> Tensor:
        """Returns y (..., d_out) for x (..., d_in)."""
        cores = self.cores if self.source is None else self.source(self)
        if cores is None:
            return functional.linear(x, self.weight, self.bias)
        r = cores.shape[-1]
        frozen = (self.weight, self.bias, self.A[:r], self.B[:, :r])
        tokens = x.reshape(-1, x.shape[-1])  # (T, d_in)
        y: Tensor = _AdaptedLinear.apply(  # type: ignore[no-untyped-call]
            tokens, cores, frozen, self.runs, self._kept(tokens)
        )
        return y.view(*x.shape[:-1], -1)

    def _kept(self, tokens: Tensor) -> Tensor | None:
        """Factors f of this forward pass (T, d_in); None where nothing is dropped."""
        if self.kept is not None or not self.training or self.dropout == 0:
            return self.kept
        return functional.dropout(torch.ones_like(tokens), self.dropout)

    def _derive_factors(self) -> None:
        """Makes A and B of the weight as it is now, in its type."""
        A, B = self.factorise(self.weight)
        d_out, d_in = self.weight.shape
        if A.shape != (B.shape[1], d_in) or B.shape[0] != d_out:
            raise ValueError(
                f"A and B must be (r, {d_in}) and ({d_out}, r), "
                f"but got {tuple(A.shape)} and {tuple(B.shape)}"
            )
        self.A, self.B = A.to(self.weight.dtype), B.to(self.weight.dtype)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, metadata: Any, strict: bool, *problems: list[str]
    ) -> None:
        """Takes a state dict's weight and bias; of another weight the factors are made anew."""
        before = self.weight.clone()  # loading writes into the weight
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, *problems)
        is_alike = (self.weight.dtype, self.weight.device) == (before.dtype, before.device)
        if is_alike and torch.equal(self.weight, before):
            return
        try:
            self._derive_factors()
        except ValueError as error:
            problems[-1].append(f"{prefix}weight: {error}")  # torch raises with all of them


class _AdaptedLinear(torch.autograd.Function):
    """The layer for x (T, d_in) and cores (K, r, r), with gradients to both.

    By hand, because both directions can then add the update to the frozen layer's product in
    place, and keep no more of the forward pass than x's image (T, r) under A.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        cores: Tensor,
        frozen: tuple[Tensor, Tensor | None, Tensor, Tensor],
        runs: Padding | None,
        kept: Tensor | None,
    ) -> Tensor:
        weight, bias, A, B = frozen
        down = (x if kept is None else x * kept) @ A.mT  # (T, r)
        # Zeros at padding: the gradient of the cores sums over it.
        down = _by_run(zero_padded(down, runs) if runs else down, cores)  # (K, n, r)
        ctx.save_for_backward(down, cores, weight, A, B, kept)
        ctx.runs = runs
        latent = _in_line(torch.bmm(down, cores.mT), runs)  # (T, r)
        return functional.linear(x, weight, bias).addmm_(latent, B.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        down, cores, weight, A, B, kept = ctx.saved_tensors
        latent = gradient @ B  # (T, r)
        latent = _by_run(pad(latent, ctx.runs) if ctx.runs else latent, cores)  # (K, n, r)
        of_cores = torch.bmm(latent.mT, down)  # (K, r, r)
        if not ctx.needs_input_grad[0]:  # nothing is trained below the first adapted matrix
            return None, of_cores, None, None, None
        of_down = _in_line(torch.bmm(latent, cores), ctx.runs)  # (T, r)
        of_x = gradient @ weight  # (T, d_in)
        of_x = of_x.addmm_(of_down, A) if kept is None else of_x.addcmul_(of_down @ A, kept)
        return of_x, of_cores, None, None, None


def _by_run(rows: Tensor, cores: Tensor) -> Tensor:
    """Rows (K n, r) as (K, n, r)."""
    return rows.view(len(cores), -1, rows.shape[-1])


def _in_line(by_run: Tensor, runs: Padding | None) -> Tensor:
    """Rows of the runs (K, n, r) as tokens (T, r)."""
    flat = by_run.view(-1, by_run.shape[-1])
    return flat if runs is None else unpad(flat, runs)


def cores_by_matrix(
    R: Tensor, masks: Tensor, scale: Tensor, *, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Returns the cores s (M o R) of a pack, one tensor (K, r, r) for each adapted matrix.

    Args:
        R: latent matrices (K, N, r, r).
        masks: masks (K, N, r, r).
        scale: s of every run (K,).
        dtype: of the encoder's products.
    """
    return (scale[:, None, None, None] * masks * R).to(dtype).unbind(dim=1)


def leading_singular_values(layers: Iterable[LoRAXSLinear], r: int) -> Tensor:
    """Returns the r largest singular values of every adapted matrix (N, r), largest first.

    A holds them: its rows are singular vectors times singular values.

    Args:
        layers: in module order (N).
        r: at most the rank that the factors are stored at.
    """
    rows = [torch.linalg.vector_norm(layer.A[:r].float(), dim=1) for layer in layers]
    return torch.stack(rows)


def set_cores(
    layers: Iterable[LoRAXSLinear], cores: Iterable[Tensor], runs: Padding | None = None
) -> None:
    """Gives every layer its cores (K, r, r), in the same order, and all the same padding.

    Raises:
        ValueError: there are not as many cores as layers.
    """
    for layer, core in zip(layers, cores, strict=True):
        layer.cores, layer.runs = core, runs
