"""Texts of pictures in any script: fonts of the system that have their characters, or code points.

matplotlib's own font has no Chinese, Japanese, Korean or emoji: it would draw boxes.
"""

import logging
from functools import cache

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

_log = logging.getLogger(__name__)
_BOXES = "Last Resort"
"""matplotlib's font that has every character, and draws a box for it."""


def make_readable(figure: Figure) -> None:
    """Gives a picture's texts fonts that have all their characters.

    A character that no font here has is written as its code point (`U+4E2D`).
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            readable = [_spelt(label) for label in labels]
            if readable != labels:  # ticks write their labels anew whenever they are drawn
                axis.set_ticklabels(readable)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(_spelt(text.get_text()))
        families = [family for one in text.get_text() if (family := _family(one))]
        if families:
            text.set_fontfamily([*rcParams["font.family"], *dict.fromkeys(families)])


def _spelt(text: str) -> str:
    """A text with code points for the characters that no font has."""
    return "".join(f"U+{ord(one):04X}" if _family(one) is None else one for one in text)


@cache
def _family(character: str) -> str | None:
    """The font to add for a character: none ("") where the pictures' own has it; None: no font."""
    if not character.isprintable() or ord(character) in _characters(findfont(FontProperties())):
        return ""
    for entry in _others():
        if ord(character) in _characters(entry.fname):
            return entry.name
    _log.warning("no font here has %s: pictures say U+%04X", character, ord(character))
    return None


@cache
def _others() -> list[FontEntry]:
    """The system's fonts, upright ones of usual weight first."""
    known = [entry for entry in fontManager.ttflist if _BOXES not in entry.name]
    return sorted(
        known, key=lambda one: (one.style != "normal", str(one.weight) != "400", one.name)
    )


@cache
def _characters(path: str) -> frozenset[int]:
    """Code points that a font has."""
    return frozenset(get_font(path).get_charmap())
