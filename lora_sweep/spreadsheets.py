"""Texts in files that spreadsheets open: what would be computed there is text."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def without_formula(value: object) -> object:
    """Returns a value with a quote before it if it is text that a spreadsheet would compute.

    A number that is written as text stays as it is. Source: OWASP, CSV injection.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA_STARTS) or _is_number(value):
        return value
    return f"'{value}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
