"""Values as tables and sentences print them.

Metrics are percent with two decimals, `67.84 ± 0.87`; one seed has no std, `67.84`.
"""

import math

import numpy as np
import pandas as pd

Value = str | int | float | None


def median_and_std(median: float, std: float) -> str | None:
    """Returns a metric's median ± std in percent; None without a run, no std for one seed.

    Args:
        median: over the seeds, 0 to 1; NaN without a finished run.
        std: sample std over the seeds, 0 to 1; NaN for one seed.
    """
    if pd.isna(median):
        return None
    # `z`: a rounded zero has no sign.
    shown = f"{100 * median:z.2f}"
    return shown if pd.isna(std) else f"{shown} ± {100 * std:.2f}"


def signed_points(value: float) -> str:
    """Returns a difference in percent points, `+0.57`; `-` for NaN."""
    return "-" if math.isnan(value) else f"{value:+.2f}"


def plain(value: object) -> Value:
    """Returns a setting's value as a table shows it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return "; ".join(str(entry) for entry in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return value
    if isinstance(value, float) and not math.isnan(value):
        return value
    return None


def value_text(value: Value) -> str:
    """Returns a value as a table prints it: numbers in 12 digits at most, None blank."""
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else str(value)


def escape_markdown(text: str) -> str:
    """Returns the text on one line, without a meaning in Markdown or HTML."""
    for character in ("\\", "|", "`", "*", "[", "]"):
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())
