"""Dropout that comes from each run's own seed, so that it does not depend on the pack.

All factors of a step are drawn before it, 0 or 1 / (1 - p). Every run fills its rows of random
bits from a generator of its own, one call for all places; one comparison for the whole pack then
turns them into factors. What a run draws depends on its own texts alone:

    hidden      (T, S, d)           every token, S places of the encoder
    attention   (n, S, H, C, C)     every text of a length group, cap C; its leading square is used
    head        (K b, 2, d)         every text
    adapters    (T, d_in)           every token, for each adapted matrix
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lora_sweep.adapters.layer import AdaptedLinear
from lora_sweep.data.batches import Batch
from lora_sweep.training.workspace import Workspace

_LEVELS = 2**16
"""A factor is decided by 16 random bits: p is met to 1 in 131,072."""
_WORTH_THREADS = 100_000
"""So many words of random bits take longer to draw than threads take to start."""


class SeededDropout(nn.Module):
    """Stands where the encoder had an `nn.Dropout`; without factors it lets everything through.

    Attributes:
        p: probability of a zero.
        factors: what a training step multiplies by; one tensor, or for attention one a group.
    """

    def __init__(self, p: float) -> None:
        """Starts without factors."""
        super().__init__()
        self.p = p
        self.factors: tuple[Tensor, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (1, T, d') times the factors (T, d); embeddings may be narrower than d."""
        if not self.factors:
            return x
        (drawn,), width = self.factors, x.shape[-1]
        return x * (drawn if drawn.shape[-1] == width else drawn[:, :width])


@dataclass(frozen=True)
class EncoderDropout:
    """The places of an encoder where values are dropped, in module order.

    Attributes:
        hidden: after the embeddings, and after both parts of each layer.
        attention: attention weights, one a layer.
        adapters: adapted layers whose adapters' inputs are dropped; none where they are not.
        adapter_p: probability of a zero there.
        workspace: what the factors of a step are drawn in.
    """

    hidden: tuple[SeededDropout, ...]
    attention: tuple[SeededDropout, ...]
    adapters: tuple[AdaptedLinear, ...] = ()
    adapter_p: float = 0.0
    workspace: Workspace = field(default_factory=Workspace, compare=False)

    def clear(self) -> None:
        """Lets everything through again."""
        for place in (*self.hidden, *self.attention):
            place.factors = ()
        for layer in self.adapters:
            layer.kept = None

    def draw(
        self,
        batch: Batch,
        generators: Sequence[torch.Generator],
        *,
        d: int,
        n_heads: int,
        dtype: torch.dtype,
    ) -> None:
        """Gives all places the factors of one step.

        Args:
            batch: the step's tokens, ragged.
            generators: one a run (K), on the batch's device; each is moved on.
            d: hidden size.
            n_heads: attention heads, H.
            dtype: of the encoder's products.
        """
        n_spare = batch.input_ids.shape[1] - sum(batch.n_tokens)
        of_tokens = Drawing(batch.n_tokens, generators, self.workspace, n_spare)
        if self.hidden:
            shape, p = (len(self.hidden), d), self.hidden[0].p
            drawn = of_tokens.factors(shape, p, dtype, name="hidden")
            for place, factor in zip(self.hidden, drawn.unbind(dim=1), strict=True):
                place.factors = (factor,)
        if self.attention:
            by_group = []
            for cap, length, n_texts, _ in batch.groups:
                squares, p = (len(self.attention), n_heads, cap, cap), self.attention[0].p
                of_texts = Drawing(n_texts, generators, self.workspace)
                drawn = of_texts.factors(squares, p, dtype, name=f"attention {cap}")
                by_group.append(drawn[..., :length, :length].unbind(dim=1))
            for place, *of_groups in zip(self.attention, *by_group, strict=True):
                place.factors = tuple(of_groups)
        for i, layer in enumerate(self.adapters):
            width, p = (layer.weight.shape[1],), self.adapter_p
            layer.kept = of_tokens.factors(width, p, dtype, name=f"adapter {i}")


def seed_dropout(
    encoder: nn.Module, attention_dropout: str, adapter_p: float = 0.0
) -> EncoderDropout:
    """Puts a `SeededDropout` in the place of every dropout that drops anything.

    Args:
        encoder: changed in place.
        attention_dropout: end of the names of the modules that drop attention weights.
        adapter_p: probability of a zero at the adapters' inputs.

    Raises:
        ValueError: dropout of the hidden states is not the same at all places, or that of the
            attention is not.
    """
    hidden: list[SeededDropout] = []
    attention: list[SeededDropout] = []
    for name, module in list(encoder.named_modules()):
        if isinstance(module, nn.Dropout) and module.p > 0:
            parent, _, child = name.rpartition(".")
            place = SeededDropout(module.p)
            setattr(encoder.get_submodule(parent), child, place)
            (attention if name.endswith(attention_dropout) else hidden).append(place)
    for places in (hidden, attention):
        if len({place.p for place in places}) > 1:
            raise ValueError(
                "dropout must be the same at all places of a kind, but got "
                f"{sorted({place.p for place in places})}"
            )
    layers = [module for module in encoder.modules() if isinstance(module, AdaptedLinear)]
    adapters = tuple(layers) if adapter_p > 0 else ()
    return EncoderDropout(tuple(hidden), tuple(attention), adapters, adapter_p)


@dataclass(frozen=True)
class Drawing:
    """Whose factors are drawn, and in what memory.

    Attributes:
        n_rows: rows of each run (K).
        generators: one a run (K); a run's rows come from its own alone.
        workspace: the memory; the last factors of the same name are overwritten.
        n_spare: rows behind the runs', whose factors are 0.
    """

    n_rows: Sequence[int]
    generators: Sequence[torch.Generator]
    workspace: Workspace = field(default_factory=Workspace)
    n_spare: int = 0

    def factors(
        self, shape: tuple[int, ...], p: float, dtype: torch.dtype, *, name: str = "factors"
    ) -> Tensor:
        """Returns independent factors (n, *shape): 0 with probability p, else 1 / (1 - p).

        Args:
            shape: of a row.
            p: probability of a zero, above 0 up to 1; met to 1 in 131,072, at least 1 in 65,536.
            dtype: of the factors.
            name: of their memory.

        Source: inverted dropout; drawing by run is ours.
        """
        n, width, device = sum(self.n_rows), math.prod(shape), self.generators[0].device
        n_words = -(-width // 4)  # four factors a 64-bit word
        bits = self.workspace.take("bits", (n, n_words), torch.int64, device)
        self._fill(bits)
        n_dropped = max(1, round(p * _LEVELS))
        kept = self.workspace.take(name, (n + self.n_spare, width), dtype, device)
        drawn = kept[:n]
        torch.gt(bits.view(torch.int16)[:, :width], n_dropped - _LEVELS // 2 - 1, out=drawn)
        drawn.mul_(_LEVELS / max(1, _LEVELS - n_dropped))
        if self.n_spare:
            kept[n:].zero_()
        return kept.view(-1, *shape)

    def _fill(self, bits: Tensor) -> None:
        """Draws each run's rows of random bits; many of them on a CPU for several runs at once."""
        by_run = torch.split(bits, list(self.n_rows))
        runs = [pair for pair in zip(by_run, self.generators, strict=True) if len(pair[0])]

        def fill(run: tuple[Tensor, torch.Generator]) -> None:
            rows, generator = run
            rows.random_(-(2**63), None, generator=generator)

        if len(runs) > 1 and bits.device.type == "cpu" and bits.numel() > _WORTH_THREADS:
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(fill, runs))
        else:
            for run in runs:
                fill(run)
