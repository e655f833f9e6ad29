"""Names of adapted matrices -> the layer and the component that each belongs to.

Nothing is assumed of the encoder but that the layer's number is a part of the dotted name.
"""

from collections.abc import Sequence

_WORDS = {
    "attention output dense": "attention output",
    "output dense": "output",
    "intermediate dense": "intermediate",
}


def layer_of(name: str) -> int | None:
    """Returns the layer's number: the first part of the name that is an integer, if any."""
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def component_names(matrices: Sequence[str]) -> list[str]:
    """Returns each matrix's component (N,), in as few words as keep different ones apart.

    `encoder.layer.3.attention.self.query` becomes `query`, and the two dense layers of BERT
    `attention output` and `output`.

    Args:
        matrices: dotted module names.
    """
    tails = [_tail(name) for name in matrices]
    distinct = sorted(set(tails))
    short = {tail: _shortest(tail, distinct) for tail in distinct}
    return [short[tail] for tail in tails]


def matrix_labels(matrices: Sequence[str]) -> list[str]:
    """Returns layer and component of each matrix (N,), `3 query`.

    Args:
        matrices: dotted module names.
    """
    names = zip(map(layer_of, matrices), component_names(matrices), strict=True)
    return [name if layer is None else f"{layer} {name}" for layer, name in names]


def component_groups(matrices: Sequence[str]) -> dict[str, list[int]]:
    """Returns component -> positions of its matrices, in the order of first appearance."""
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(component_names(matrices)):
        groups.setdefault(name, []).append(i)
    return groups


def _tail(name: str) -> tuple[str, ...]:
    """The parts behind the layer's number; all of them where there is none."""
    parts = name.split(".")
    numbers = [i for i, part in enumerate(parts) if part.isdigit()]
    return tuple(parts[numbers[0] + 1 :] if numbers else parts)


def _shortest(tail: tuple[str, ...], distinct: Sequence[tuple[str, ...]]) -> str:
    """The fewest last parts that no other component ends in, or is."""
    for n in range(1, len(tail) + 1):
        end = tail[-n:]
        said = _said(end)
        others = [other for other in distinct if other != tail]
        is_own = all(_said(other[-n:]) != said for other in others)
        is_vague = said in ("dense", "output") and end != tail
        if is_own and not is_vague:
            return said
    return _said(tail)


def _said(parts: tuple[str, ...]) -> str:
    words = " ".join(parts).replace("_", " ")
    return _WORDS.get(words, words)
