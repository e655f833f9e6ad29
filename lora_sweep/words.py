"""Small things that sentences need."""

from collections.abc import Sequence


def counted(n: float, one: str, many: str = "") -> str:
    """Returns a number with its noun: `1 run`, `2 runs`.

    Args:
        n: how many; a whole number is written in full, others with three digits.
        one: the noun for one of them.
        many: for any other number; empty for `one` with an s.
    """
    number = f"{n:.0f}" if n == round(n) else f"{n:.3g}"
    return f"{number} {one if n == 1 else many or f'{one}s'}"


def listed(words: Sequence[str]) -> str:
    """Returns words as a sentence lists them: `a`, `a and b`, `a, b and c`.

    Args:
        words: one at least.
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
