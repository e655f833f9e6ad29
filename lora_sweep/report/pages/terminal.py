"""A sweep's tables on the terminal: the same rows as in report.md, with no number or word cut.

A table that is wider than the terminal is made narrower step by step: headings go over several
lines; settings with one value in all rows move into the line above, as many as must; at last all
settings stand in one column. Results always keep their columns.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from lora_sweep.report.text.folding import BOUND, common_values, fold, foldable, named, without
from lora_sweep.report.text.table import NOTES, Table
from lora_sweep.report.text.values import Value, value_text

_LEAST = 20
"""Characters that the one column of all settings has at least."""
_BROKEN = {"Verdict": 16, "95 % interval": 10, "Why": 12}
"""Columns of several words, with the characters of a line: the interval's ends stand in two."""


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Prints the tables of a sweep.

    Args:
        tables: in their order.
        console: where to; its width is the tables'.
    """
    for table in tables:
        shown, said = next(
            (one for one in _narrower(table) if _width(_broken(one[0])) <= console.width),
            _with_settings_in_one(table, console.width),
        )
        print_lines(["", table.title], console, style="bold")
        print_lines([said] if said else [], console)
        drawn = _draw(shown if _width(shown) <= console.width else _broken(shown))
        # Without a width of its own, a table would cut its cells to fit the terminal.
        drawn.width = console.measure(drawn, options=console.options.update(width=10_000)).maximum
        console.print(drawn, crop=False, soft_wrap=True)


def print_lines(lines: Sequence[str], console: Console, *, style: str = "") -> None:
    """Prints sentences, broken between words only: a path or number that is too long stays whole.

    Args:
        lines: a sentence each.
        console: where to.
        style: as rich names it.
    """
    for line in lines:
        console.print(Text(wrapped(line, console.width), style=style), soft_wrap=True)


def wrapped(text: str, width: int) -> str:
    """Returns a text in lines of so many characters, where its words allow it.

    A number stays with its unit: `± 0.87`, `95 %`.
    """
    bound = text.replace("± ", f"±{BOUND}").replace(" %", f"{BOUND}%")
    lines = textwrap.fill(bound, width, break_long_words=False, break_on_hyphens=False)
    return lines.replace(BOUND, " ")


def _narrower(table: Table) -> Iterator[tuple[Table, str]]:
    """The table with ever more of its common settings in the line above it."""
    always, common = foldable(table), common_values(table)
    more = [name for name in common if name in table.settings and name not in always]
    empty = [name for name in more if common[name] is None]  # nothing to say of them
    told = [name for name in more if name not in empty]
    yield fold(table, always)
    for n in range(len(told) + 1):
        yield fold(table, [*always, *empty, *told[:n]])


def _with_settings_in_one(table: Table, width: int) -> tuple[Table, str]:
    """The table with one column for all settings in which its rows differ."""
    *_, (last, said) = _narrower(table)
    settings = [name for name in last.columns if name in last.settings]
    if not settings:
        return last, said
    rest = without(last, settings)
    room = max(_LEAST, width - _width(_broken(rest)) - 3)
    places = [last.columns.index(name) for name in settings]
    words = [
        wrapped(
            ", ".join(named(last.columns[i], row[i]) for i in places if row[i] is not None),
            room,
        )
        for row in last.rows
    ]
    rows = tuple((own, *row) for own, row in zip(words, rest.rows, strict=True))
    return replace(rest, columns=("Settings", *rest.columns), rows=rows), said


def _broken(table: Table) -> Table:
    """The table with names of columns, and texts but results, in lines as wide as their words."""
    columns, values = [], []
    for name, own in zip(table.columns, zip(*table.rows, strict=True), strict=True):
        shown = tuple(_in_lines(table, name, value) for value in own)
        width = max(map(_longest_line, shown), default=0)
        columns.append(wrapped(name, max(width, *map(len, name.replace("± ", "±_").split()))))
        values.append(shown)
    return replace(table, columns=tuple(columns), rows=tuple(zip(*values, strict=True)))


def _in_lines(table: Table, column: str, value: Value) -> Value:
    """Notes and parts of names in lines of their own, verdicts and intervals in narrow ones."""
    if column in _BROKEN:
        return wrapped(str(value), _BROKEN[column])
    is_list = column == NOTES or column in table.settings
    return value.replace(", ", ",\n") if is_list and isinstance(value, str) else value


def _width(table: Table) -> int:
    """Characters that the drawn table takes: each column has a border and two spaces."""
    columns = [
        max(map(_longest_line, (name, *own)))
        for name, own in zip(table.columns, zip(*table.rows, strict=True), strict=True)
    ]
    return sum(columns) + 3 * len(columns) + 1


def _longest_line(value: Value) -> int:
    return max(map(len, value_text(value).split("\n")))


def _draw(table: Table) -> RichTable:
    drawn = RichTable()
    for i, name in enumerate(table.columns):
        is_number = any(isinstance(row[i], int | float) for row in table.rows)
        drawn.add_column(Text(name), justify="right" if is_number else "left", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(Text(value_text(value)) for value in row))
    return drawn
