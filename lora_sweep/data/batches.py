"""Tokenised texts -> batches of a pack, and the order in which a run sees its texts.

A batch holds K b texts, the texts of a run together, run after run. It is ragged (the real tokens
one behind the other, no padding) or padded (a row a text). A ragged batch knows how its tokens
stand in the padded layouts that attention, pooling and the adapters ask for. Spare tokens may fill
it up to a multiple: they belong to no text, nothing reads them, and products come in few sizes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.padding import Padding

SMALLEST_CAP = 16
"""Texts of up to this many tokens attend in one group: smaller groups cost more calls than they
save in arithmetic."""


class LengthGroup(NamedTuple):
    """Texts of like length, which attend together.

    Attributes:
        cap: bound on their lengths, a power of two; it depends on the texts alone.
        length: places that each has, L: the longest one's tokens, up to a multiple of 16. A
            softmax over rows of other lengths takes several times as long on a CPU.
        n_texts: how many of them each run has (K).
        bias: (n H, 1, L), 0 where a text has a token, else minus infinity; the same for all H.
    """

    cap: int
    length: int
    n_texts: tuple[int, ...]
    bias: Tensor


@dataclass(frozen=True)
class Batch:
    """Tokens of K b texts, ragged (1, T) or padded (K b, L), L the longest text's length.

    Attributes:
        input_ids: token ids, int64.
        positions: place of every token in its text, 0 for the first, int64.
        token_type_ids: segment of every token, int64; None for models without.
        labels: (K, b), int64 or float32.
        is_real: where the padded layout has a token (K b, L), bool.
        n_tokens: tokens of each run (K), spare ones not counted; ragged only, as all below.
        texts: tokens (T) <-> a row a text (K b L).
        runs: tokens (T) <-> a row a run (K T_max); None for one run without spare tokens.
        heads: a token's heads (T H) <-> the texts by length group (sum of n H L).
        groups: the length groups, shortest first.
    """

    input_ids: Tensor
    positions: Tensor
    token_type_ids: Tensor | None
    labels: Tensor
    is_real: Tensor
    n_tokens: tuple[int, ...] = ()
    texts: Padding | None = None
    runs: Padding | None = None
    heads: Padding | None = None
    groups: tuple[LengthGroup, ...] = ()

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on a device; it does not wait for pinned memory."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """Returns the batch in memory that copies to a GPU without waiting."""
        return self._each(lambda part: part.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        changed: dict[str, Any] = {}
        for name, part in vars(self).items():
            if isinstance(part, Tensor):
                changed[name] = change(part)
            elif isinstance(part, Padding):
                changed[name] = Padding(*map(change, part))
        groups = tuple(group._replace(bias=change(group.bias)) for group in self.groups)
        return dataclasses.replace(self, **changed, groups=groups)


def epoch_order(n_texts: int, generator: torch.Generator) -> Tensor:
    """Returns a random order (n_texts,) of the texts."""
    return torch.randperm(n_texts, generator=generator)


def evaluation_batches(texts: TokenisedTexts, batch_size: int) -> Iterator[Tensor]:
    """Yields all texts once, (b,) at a time, of like length together so that little is padded."""
    yield from torch.split(torch.argsort(texts.lengths, stable=True), batch_size)


def ahead(make: Callable[[Tensor], Batch], indices: Sequence[Tensor]) -> Iterator[Batch]:
    """Yields `make(index)` for every index, the next one made while the last is in use."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: Future[Batch] | None = None
        for index in indices:
            started = pool.submit(make, index)
            if waiting is not None:
                yield waiting.result()
            waiting = started
        if waiting is not None:
            yield waiting.result()


def padded_batch(
    texts: TokenisedTexts, index: Tensor, *, pad_id: int, length: int | None = None
) -> Batch:
    """Returns the texts of a step, padded.

    Args:
        texts: where they come from.
        index: which ones, (K, b).
        pad_id: token that fills.
        length: tokens a row; None for the longest text's.
    """
    is_real, source = _padded_layout(texts, index.flatten(), length)
    ids = torch.where(is_real, texts.ids[source].long(), pad_id)
    types = None if texts.types is None else texts.types[source].long() * is_real
    positions = torch.arange(is_real.shape[1]).expand(is_real.shape)
    return Batch(ids, positions, types, texts.labels[index], is_real)


def ragged_batch(
    texts: TokenisedTexts, index: Tensor, *, n_heads: int, multiple: int = 1
) -> Batch:
    """Returns the real tokens of a step, text after text, run after run, then the spare ones.

    Args:
        texts: where they come from.
        index: which ones, (K, b).
        n_heads: attention heads of the encoder, H.
        multiple: spare tokens fill T up to a multiple of it.
    """
    is_real, source = _padded_layout(texts, index.flatten(), None)
    place = is_real.flatten().nonzero()[:, 0]  # (T,)
    token = source.flatten()[place]  # (T,)
    lengths = texts.lengths[index]  # (K, b)
    n_spare = -len(place) % multiple
    heads, groups = _length_groups(lengths, n_heads, n_spare)

    def in_line(of_tokens: Tensor) -> Tensor:
        return functional.pad(of_tokens.long(), (0, n_spare))[None]

    return Batch(
        input_ids=in_line(texts.ids[token]),
        positions=in_line(place % is_real.shape[1]),
        token_type_ids=None if texts.types is None else in_line(texts.types[token]),
        labels=texts.labels[index],
        is_real=is_real,
        n_tokens=tuple(lengths.sum(dim=1).tolist()),
        texts=Padding(_rows_source(lengths.flatten(), is_real), place, _behind(place, n_spare)),
        runs=_runs_padding(lengths.sum(dim=1), n_spare),
        heads=heads,
        groups=groups,
    )


def _padded_layout(
    texts: TokenisedTexts, rows: Tensor, length: int | None
) -> tuple[Tensor, Tensor]:
    """Where a row a text has real tokens, and which tokens of all texts these are (K b, L)."""
    lengths = texts.lengths[rows]
    position = torch.arange(int(lengths.max()) if length is None else length)  # (L,)
    is_real = position < lengths[:, None]  # (K b, L)
    return is_real, torch.where(is_real, texts.offsets[rows, None] + position, 0)


def _behind(place: Tensor, n_spare: int) -> Tensor:
    """The spare rows (n_spare,), which follow those that have a place."""
    return torch.arange(len(place), len(place) + n_spare)


def _rows_source(lengths: Tensor, is_real: Tensor) -> Tensor:
    """The token at every place of a row an owner (n, L), flat; the owner's first at padding."""
    first = lengths.cumsum(0) - lengths  # (n,)
    position = torch.arange(is_real.shape[1])
    return torch.where(is_real, first[:, None] + position, first[:, None]).flatten()


def _runs_padding(n_tokens: Tensor, n_spare: int) -> Padding | None:
    """A row a run; one run needs none, unless spare tokens follow its own."""
    if len(n_tokens) == 1 and n_spare == 0:
        return None
    is_token = torch.arange(int(n_tokens.max())) < n_tokens[:, None]  # (K, T_max)
    place = is_token.flatten().nonzero()[:, 0]
    return Padding(_rows_source(n_tokens, is_token), place, _behind(place, n_spare))


def _length_groups(
    lengths: Tensor, n_heads: int, n_spare: int
) -> tuple[Padding, tuple[LengthGroup, ...]]:
    """Texts (K, b) by length, padded within a group only, each head a row of its own."""
    each = lengths.flatten()  # (K b,)
    first = each.cumsum(0) - each
    caps = _cap(each)
    head = torch.arange(n_heads)[:, None]
    groups, sources = [], []
    for cap in sorted(set(caps.tolist())):
        is_member = caps == cap
        member = is_member.nonzero()[:, 0]  # (n,)
        length = -(-int(each[member].max()) // SMALLEST_CAP) * SMALLEST_CAP
        is_real = torch.arange(length) < each[member, None]  # (n, L)
        position = torch.arange(length) * is_real
        token = first[member, None] + position  # (n, L)
        sources.append((token[:, None] * n_heads + head).flatten())  # (n H L,)
        bias = torch.zeros(is_real.shape).masked_fill_(~is_real, -torch.inf)
        n_texts = tuple(is_member.view(lengths.shape).sum(dim=1).tolist())
        groups.append(
            LengthGroup(cap, length, n_texts, bias.repeat_interleave(n_heads, dim=0)[:, None])
        )
    source = torch.cat(sources)
    place = _places_of(source, int(each.sum()) * n_heads)
    return Padding(source, place, _behind(place, n_spare * n_heads)), tuple(groups)


def _cap(lengths: Tensor) -> Tensor:
    """The least power of two, from SMALLEST_CAP on, that each length is within."""
    caps = torch.full_like(lengths, SMALLEST_CAP)
    while bool((lengths > caps).any()):
        caps = torch.where(lengths > caps, 2 * caps, caps)
    return caps


def _places_of(source: Tensor, n_rows: int) -> Tensor:
    """The first place of every row (n_rows,): padding repeats a row behind its own place."""
    place = torch.full((n_rows,), len(source))
    return place.scatter_reduce_(0, source, torch.arange(len(source)), reduce="amin")
