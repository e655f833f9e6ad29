"""Characters that matplotlib's own font does not have: another font's, or their code points."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from lora_sweep.report.figures import fonts

N_NAMES = 5
"""Texts of a picture with the name: title, label of x, legend, and a tick's two."""
HAN, KANA, HANGUL, EMOJI = "\u4e2d", "\u3042", "\ud55c", "\U0001f984"


@pytest.fixture(autouse=True)
def nothing_is_known_of_fonts() -> Iterator[None]:
    for kept in (fonts._family, fonts._others):
        kept.cache_clear()
    yield
    for kept in (fonts._family, fonts._others):
        kept.cache_clear()


@pytest.fixture
def font_with_han(tmp_path: Path) -> Iterator[str]:
    """A font of the system whose one character is a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "han"])
    builder.setupCharacterMap({ord(HAN): "han"})
    builder.setupGlyf({".notdef": pen.glyph(), "han": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "han": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Han of tests", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "han.ttf")
    before = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "han.ttf")
    yield "Han of tests"
    fontManager.ttflist[:] = before


def picture(name: str) -> Figure:
    """The name in a title, a label, a tick and a legend."""
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], label=name)
    axes.set_xticks([0, 1], [name, "b"], rotation=30)
    axes.set(title=name, xlabel=name)
    axes.legend()
    return figure


def drawn_texts(figure: Figure) -> list[str]:
    """What stands in it once it is drawn; a glyph that is missing is a warning, so an error."""
    FigureCanvasAgg(figure).draw()
    return [str(text.get_text()) for text in figure.findobj(Text) if isinstance(text, Text)]


@pytest.mark.usefixtures("font_with_han")
def test_font_of_the_system_draws_what_it_has() -> None:
    figure = picture(f"a{HAN} \u00b1")
    fonts.make_readable(figure)
    assert drawn_texts(figure).count(f"a{HAN} \u00b1") == N_NAMES


@pytest.mark.parametrize("character", [HAN, KANA, HANGUL, EMOJI])
def test_character_without_a_font_is_spelt(
    character: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [entry for entry in fontManager.ttflist if entry.name == "DejaVu Sans"]
    monkeypatch.setattr(fontManager, "ttflist", own)
    if ord(character) in fonts._characters(own[0].fname):
        pytest.skip("matplotlib's own font has it")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            figure = picture(f"a{character}")
            fonts.make_readable(figure)
            assert drawn_texts(figure).count(f"aU+{ord(character):04X}") == N_NAMES
    assert len(caplog.records) == 1


def test_usual_texts_stay_as_they_are() -> None:
    figure, other = picture("uniform \u00b1 \u03b1"), picture("uniform \u00b1 \u03b1")
    fonts.make_readable(figure)
    assert drawn_texts(figure) == drawn_texts(other)
    families = [text.get_fontfamily() for text in figure.findobj(Text) if isinstance(text, Text)]
    assert all(family == ["sans-serif"] for family in families)
