"""Small things that sentences and printed commands need."""

from collections.abc import Sequence


def counted(n: float, one: str, many: str = "", *, verb: tuple[str, str] | None = None) -> str:
    """Returns a number with its noun: `1 run`, `2 runs`; or with its verb too: `1 run goes`.

    Args:
        n: how many; written as `number` does.
        one: the noun for one of them.
        many: for any other number; empty for `one` with an s.
        verb: what follows for one of them, and for any other number; None for nothing.
    """
    noun = one if n == 1 else many or f"{one}s"
    said = noun if verb is None else f"{noun} {verb[n != 1]}"
    return f"{number(n)} {said}"


def number(n: float) -> str:
    """Returns a whole number, or one of 100 and more, without decimals; others with three digits.

    Args:
        n: 0 or more.
    """
    return f"{n:.0f}" if n == round(n) or n >= 100 else f"{n:.3g}"


def listed(words: Sequence[str]) -> str:
    """Returns words as a sentence lists them: `a`, `a and b`, `a, b and c`.

    Args:
        words: one at least.
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def pasteable(command: str) -> str:
    r"""Returns a command in which nothing is hidden, and which a shell still reads the same.

    A character that nobody sees, ends the line, or turns the direction in which others are shown
    (whatever `str.isprintable` refuses) is written as its bytes, `$'\xe2\x80\xae'`, as bash and
    zsh read them.

    Args:
        command: as from `shlex.join`, which has such characters within single quotes.
    """
    return "".join(c if c.isprintable() else f"'$'{_bytes(c)}''" for c in command)


def _bytes(character: str) -> str:
    """A character's bytes in UTF-8; the byte itself for one that no text has."""
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))
