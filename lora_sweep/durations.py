"""How long something takes, in words for people."""

_UNITS = ((90, 1, "s", 0), (5400, 60, "min", 0), (48 * 3600, 3600, "h", 1))
"""Up to so many seconds: the seconds of one unit, its name, decimals."""


def duration(seconds: float) -> str:
    """Returns a time in the unit that gives a number people can hold.

    40 s, 12 min, 3.5 h, 2.1 days.

    Args:
        seconds: at least 0.
    """
    for limit, size, unit, decimals in _UNITS:
        if seconds < limit:
            return f"{seconds / size:.{decimals}f} {unit}"
    return f"{seconds / 86400:.1f} days"
