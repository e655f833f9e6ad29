"""A table, before it is Markdown, HTML, LaTeX or what a terminal shows."""

from dataclasses import dataclass

from lora_sweep.report.text.values import Value

RESULT, FINAL, SEEDS, NOTES = "Median ± Std", "Final Median ± Std", "Seeds", "Notes"
"""What came of a cell, as the headings of columns."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: the table's heading.
        columns: names of the columns; the first one says what a row is of.
        rows: a value a column; None is printed blank.
        settings: the columns that say what was run; the others say what came of it.
        kept: the columns that stay where one value stands in all rows.
        leading: places of the rows whose `RESULT` stands out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    settings: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    leading: frozenset[int] = frozenset()
