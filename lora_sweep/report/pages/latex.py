"""The table of all cells as LaTeX, for a paper: booktabs, the inits as groups of rows.

It is as wide as the text of LaTeX's class article at most. What does not fit stands in columns
that break their lines: the notes, and all settings together where they are many.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tabulate import LATEX_ESCAPE_RULES

from lora_sweep.report.pages.terminal import wrapped
from lora_sweep.report.text.folding import BOUND, common_values, fold, without
from lora_sweep.report.text.table import FINAL, NOTES, RESULT, Table
from lora_sweep.report.text.values import Value, value_text

_PREAMBLE = "% Needs \\usepackage{booktabs,tabularx}. Made by lora_sweep, of report.md's cells.\n"
_LINE = 66
"""Characters that a line of the text (345 pt) holds in 10 points, most of them digits."""
_GAP = 2.5
"""Characters between two columns."""
_NARROWEST = 14
"""Characters that a column with broken lines has at least: the longest word of a note fits."""
_JOINTS = re.compile(r"(?<=[._/;=-])(?=[^\W\d])")
_SYMBOLS = {"±": r"$\pm$", "→": r"$\to$", "×": r"$\times$", BOUND: "~"}


@dataclass(frozen=True)
class _Column:
    """A column: heading, characters, texts in LaTeX; `l`, `r`, or `X` with broken lines."""

    name: str
    width: int
    texts: tuple[str, ...]
    place: str


def to_latex(table: Table, metric: str) -> str:
    """Returns a `table` environment; all text is escaped, the leading result is bold.

    Args:
        table: as from `cells_table`, with at least one row.
        metric: what the results are of, in words.
    """
    inits = [str(row[0]) for row in table.rows]
    results = (RESULT, FINAL, NOTES)
    same = [name for name in common_values(table) if name not in ("Init", *results)]
    shown, said = fold(table, same)
    columns = _columns(without(shown, ["Init"]), table.leading)
    caption = _escaped(f"{metric} × 100, median and standard deviation over the seeds. {said}")
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption.rstrip()}}}",
        *_tabular(columns, inits),
        r"\end{table}",
    ]
    return _PREAMBLE + "\n" + "\n".join(lines) + "\n"


def _tabular(columns: Sequence[_Column], inits: Sequence[str]) -> Iterator[str]:
    places = "".join(
        r">{\raggedright\arraybackslash}X" if one.place == "X" else one.place for one in columns
    )
    is_broken = any(one.place == "X" for one in columns)
    name, width = ("tabularx", r"{\linewidth}") if is_broken else ("tabular", "")
    yield rf"\begin{{{name}}}{width}{{{places}}}"
    yield r"\toprule"
    yield _row([_heading(one.name, one.width) for one in columns])
    for init, rows in groupby(range(len(inits)), key=inits.__getitem__):
        yield r"\midrule"
        yield rf"\multicolumn{{{len(columns)}}}{{l}}{{\textit{{{_escaped(init)}}}}} \\"
        yield from (_row([one.texts[i] for one in columns]) for i in rows)
    yield r"\bottomrule"
    yield rf"\end{{{name}}}"


def _row(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _columns(table: Table, leading: frozenset[int]) -> list[_Column]:
    """The columns in LaTeX; all settings in one where they would not fit."""
    settings = [name for name in table.columns if name in table.settings]
    shown = table if _width(table) <= _LINE else _with_settings_in_one(table, settings)
    columns = []
    for name, own in zip(shown.columns, zip(*shown.rows, strict=True), strict=True):
        width = _column_width(name, own)
        if name in (NOTES, "Settings"):
            columns.append(_Column(name, width, tuple(map(_breakable, own)), "X"))
            continue
        texts = [_escaped(value_text(value)) for value in own]
        if name == RESULT:
            texts = [rf"\textbf{{{t}}}" if i in leading else t for i, t in enumerate(texts)]
        is_number = any(isinstance(value, int | float) for value in own)
        columns.append(_Column(name, width, tuple(texts), "r" if is_number else "l"))
    return columns


def _width(table: Table) -> float:
    """Characters of the table, its notes as narrow as they can be."""
    widths = [
        _column_width(name, own)
        for name, own in zip(table.columns, zip(*table.rows, strict=True), strict=True)
    ]
    return sum(widths) + _GAP * len(widths)


def _column_width(name: str, values: Sequence[Value]) -> int:
    """Characters of a column, its heading in several lines."""
    if name == NOTES:
        return _NARROWEST
    longest = max(len(word) for word in wrapped(name, 1).splitlines())
    return max(longest, *(len(value_text(value)) for value in values))


def _heading(name: str, width: int) -> str:
    lines = wrapped(name, width).splitlines()
    words = r" \\ ".join(map(_escaped, lines))
    return words if len(lines) == 1 else rf"\shortstack[l]{{{words}}}"


def _with_settings_in_one(table: Table, settings: Sequence[str]) -> Table:
    rest = without(table, settings)
    places = [table.columns.index(name) for name in settings]
    rows = tuple(
        (
            ", ".join(
                f"{table.columns[i]} {value_text(row[i])}" for i in places if row[i] is not None
            ),
            *own,
        )
        for row, own in zip(table.rows, rest.rows, strict=True)
    )
    return Table(table.title, ("Settings", *rest.columns), rows)


def _breakable(value: Value) -> str:
    """Text that may also be broken between joined names, as in paths and dotted names."""
    names = _JOINTS.split(value_text(value))
    return r"\allowbreak{}".join(map(_escaped, names))


def _escaped(text: str) -> str:
    rules = LATEX_ESCAPE_RULES | _SYMBOLS
    return "".join(rules.get(character, character) for character in text)
