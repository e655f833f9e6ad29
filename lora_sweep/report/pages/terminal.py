"""A sweep's tables on the terminal: the same rows as in report.md, with no number cut.

Where a table is wider than the terminal, columns that say the same in all its rows move into the
heading; what is still too wide is left to the terminal to wrap.
"""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from lora_sweep.report.pages.tables import Table, Value


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Prints the tables of a sweep.

    Args:
        tables: in their order.
        console: where to; a file or pipe gets every table in its full width.
    """
    for table in tables:
        heading, drawn = table.title, _draw(table)
        if console.is_terminal and _width(console, drawn) > console.width:
            common, narrow = _split_common(table)
            heading = ", ".join([table.title, *common])
            drawn = _draw(narrow)
        console.print(Text(f"\n{heading}", style="bold"), soft_wrap=True)
        # Without a width of its own, a table would cut its cells to fit the terminal.
        drawn.width = _width(console, drawn)
        console.print(drawn, crop=False, soft_wrap=True)


def _width(console: Console, drawn: RichTable) -> int:
    unlimited = console.options.update(width=10_000)
    return console.measure(drawn, options=unlimited).maximum


def _split_common(table: Table) -> tuple[list[str], Table]:
    """Returns what all rows have in common, in words, and the table of the other columns."""
    columns = list(zip(*table.rows, strict=True))
    is_common = [len(set(values)) == 1 and len(values) > 1 for values in columns]
    common = [
        f"{name} {_text(values[0])}"
        for name, values, is_so in zip(table.columns, columns, is_common, strict=True)
        if is_so and values[0] is not None
    ]
    kept = [i for i, is_so in enumerate(is_common) if not is_so]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    names = tuple(table.columns[i] for i in kept)
    return common, replace(table, columns=names, rows=rows)


def _draw(table: Table) -> RichTable:
    drawn = RichTable()
    for i, name in enumerate(table.columns):
        is_number = any(isinstance(row[i], int | float) for row in table.rows)
        drawn.add_column(Text(name), justify="right" if is_number else "left", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(Text(_text(value)) for value in row))
    return drawn


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else " ".join(str(value).split())
