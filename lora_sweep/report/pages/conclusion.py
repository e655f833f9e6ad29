"""Several inits against one baseline, in one sentence; the table of verdicts has the numbers."""

import math
from collections.abc import Sequence

from lora_sweep.report.compare.comparison import Line
from lora_sweep.report.table.labels import init_words
from lora_sweep.words import listed

_CLAIMS: dict[str | None, tuple[str, str]] = {
    "better": ("is better", "are better"),
    "worse": ("is worse", "are worse"),
    "equivalent": ("is as good", "are as good"),
    "not resolved": ("is not clear yet", "are not clear yet"),
    None: ("can't be told from these seeds", "can't be told from these seeds"),
}
"""What is said of one init and of several, clear verdicts first."""


def inits_against(baseline: str, lines: Sequence[Line]) -> str:
    """Returns what can be said of several inits against one baseline, clear verdicts first.

    Args:
        baseline: its name.
        lines: of the inits against it.
    """
    said = []
    for claim, (one, several) in _CLAIMS.items():
        own = [_init(line) for line in lines if _claim(line) == claim]
        if own:
            said.append(f"{listed(own)} {one if len(own) == 1 else several}")
    return f"Against {baseline}, in points on average: {'; '.join(said)}."


def _claim(line: Line) -> str | None:
    """The claim; None where seeds show no spread, or none has trained in both."""
    return str(line.verdict.claim) if math.isfinite(line.paired.low) else None


def _init(line: Line) -> str:
    notes = [f"{line.paired.mean:+.2f}"] if math.isfinite(line.paired.mean) else []
    if line.fails_more is not None:
        notes.append("fails more often" if line.fails_more else "fails less often")
    name = init_words(line.init)
    return f"{name} ({', '.join(notes)})" if notes else name
