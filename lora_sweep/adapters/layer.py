"""Frozen linear layers that take an update for each run of a pack; LoRA-XS's is one of them.

LoRA-XS's layer computes

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


class AdaptedLinear(nn.Module):
    """A linear layer with frozen weight, which waits for the updates of a pack's runs.

    Attributes:
        update: of every run, as the kind of layer takes it; set before a forward pass. None
            leaves the frozen layer as it is.
        runs: tokens (T) <-> a row a run (K T_max); None for equal shares.
        kept: what the adapter's input is multiplied by in the next forward pass (T, d_in), f; None
            where nothing is dropped.
        dropout: probability of a zero in f where nobody gives it; it is then drawn in training, by
            torch's own generator.
    """

    weight: Tensor
    bias: Tensor | None
    update: Any

    def __init__(self, linear: nn.Linear) -> None:
        """Takes over a linear layer's weight and bias, W (d_out, d_in), and freezes them."""
        super().__init__()
        bias = linear.bias
        self.register_buffer("weight", linear.weight.detach())
        self.register_buffer("bias", None if bias is None else bias.detach())
        self.update = None
        self.runs: Padding | None = None
        self.kept: Tensor | None = None
        self.dropout = 0.0

    def spectrum(self, r: int) -> Tensor:
        """Returns the r largest singular values of the weight (r,), largest first."""
        values: Tensor = torch.linalg.svdvals(self.weight.float())
        return values[:r]

    def _kept(self, tokens: Tensor) -> Tensor | None:
        """Factors f of this forward pass (T, d_in); None where nothing is dropped."""
        if self.kept is not None or not self.training or self.dropout == 0:
            return self.kept
        return functional.dropout(torch.ones_like(tokens), self.dropout)


class LoRAXSLinear(AdaptedLinear):
    """A linear layer with frozen weight, frozen factors and a core for each run.

    Attributes:
        update: the cores s (M o R) of every run (K, r, r).
        source: asked for the cores at every forward pass, in place of `update`; None for none.
    """

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
        super().__init__(linear)
        self.register_buffer("A", None, persistent=False)
        self.register_buffer("B", None, persistent=False)
        self.factorise = factorise
        self.source: Callable[[LoRAXSLinear], Tensor] | None = None
        self._derive_factors()

    def forward(self, x: Tensor) -> Tensor:
        """Returns y (..., d_out) for x (..., d_in)."""
        cores: Tensor | None = self.update if self.source is None else self.source(self)
        if cores is None:
            return functional.linear(x, self.weight, self.bias)
        r = cores.shape[-1]
        frozen = (self.weight, self.bias, self.A[:r], self.B[:, :r])
        tokens = x.reshape(-1, x.shape[-1])  # (T, d_in)
        y: Tensor = _AdaptedLinear.apply(  # type: ignore[no-untyped-call]
            tokens, cores, frozen, self.runs, self._kept(tokens)
        )
        return y.view(*x.shape[:-1], -1)

    def spectrum(self, r: int) -> Tensor:
        """Returns the r largest singular values (r,): A's rows are singular vectors times them."""
        values: Tensor = torch.linalg.vector_norm(self.A[:r].float(), dim=1)
        return values

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
        down = by_run(zero_padded(down, runs) if runs else down, len(cores))  # (K, n, r)
        ctx.save_for_backward(down, cores, weight, A, B, kept)
        ctx.runs = runs
        latent = in_line(torch.bmm(down, cores.mT), runs)  # (T, r)
        return functional.linear(x, weight, bias).addmm_(latent, B.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        down, cores, weight, A, B, kept = ctx.saved_tensors
        latent = gradient @ B  # (T, r)
        latent = by_run(pad(latent, ctx.runs) if ctx.runs else latent, len(cores))  # (K, n, r)
        of_cores = torch.bmm(latent.mT, down)  # (K, r, r)
        if not ctx.needs_input_grad[0]:  # nothing is trained below the first adapted matrix
            return None, of_cores, None, None, None
        of_down = in_line(torch.bmm(latent, cores), ctx.runs)  # (T, r)
        of_x = gradient @ weight  # (T, d_in)
        of_x = of_x.addmm_(of_down, A) if kept is None else of_x.addcmul_(of_down @ A, kept)
        return of_x, of_cores, None, None, None


def by_run(rows: Tensor, n_runs: int) -> Tensor:
    """Returns rows (K n, d) as (K, n, d)."""
    return rows.view(n_runs, -1, rows.shape[-1])


def in_line(rows: Tensor, runs: Padding | None) -> Tensor:
    """Returns rows of the runs (K, n, d) as tokens (T, d)."""
    flat = rows.view(-1, rows.shape[-1])
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


def leading_singular_values(layers: Iterable[AdaptedLinear], r: int) -> Tensor:
    """Returns the r largest singular values of every adapted matrix (N, r), largest first.

    Args:
        layers: in module order (N).
        r: at most the rank that factors are stored at, where there are any.
    """
    return torch.stack([layer.spectrum(r) for layer in layers])


def set_updates(
    layers: Iterable[AdaptedLinear], updates: Iterable[Any], runs: Padding | None = None
) -> None:
    """Gives every layer its update, in the same order, and all the same padding.

    Args:
        layers: in module order (N).
        updates: one a layer, as it takes them: of LoRA-XS's, cores (K, r, r).
        runs: tokens (T) <-> a row a run (K T_max); None for equal shares.

    Raises:
        ValueError: there are not as many updates as layers.
    """
    for layer, update in zip(layers, updates, strict=True):
        layer.update, layer.runs = update, runs
