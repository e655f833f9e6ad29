"""Columns with one value in all rows: their values go into a line above the table."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from lora_sweep.report.text.table import Table
from lora_sweep.report.text.values import Value, value_text
from lora_sweep.vocabulary import STUDY_COLUMNS

BOUND = "\N{NO-BREAK SPACE}"
"""Between a name and its value, which belong on one line."""


def common_values(table: Table) -> dict[str, Value]:
    """Returns the columns with one value in all rows, each with that value; None if all are blank.

    A blank under a setting of the study says that it has no effect there, and is no other value.

    Args:
        table: with at least one row.
    """
    common: dict[str, Value] = {}
    for name, own in _by_column(table).items():
        values = {value for value in own if value is not None or name not in STUDY_COLUMNS}
        if len(values) < 2:
            common[name] = next(iter(values), None)
    return common


def foldable(table: Table) -> list[str]:
    """Returns the columns that a reader does not miss: they have one value, and are not kept.

    A lone row keeps its columns, and the first column always stays.
    """
    if len(table.rows) < 2:
        return []
    stay = {table.columns[0], *table.kept}
    return [name for name in common_values(table) if name not in stay]


def fold(table: Table, names: Collection[str]) -> tuple[Table, str]:
    """Returns the table without these columns, and a sentence with their values.

    Args:
        table: with at least one row.
        names: of columns with one value; those that are blank leave no word.

    Returns:
        The table, and the sentence; it is empty where there is nothing to say.
    """
    values = {name: value for name, value in common_values(table).items() if name in names}
    return without(table, names), _sentence(table, values)


def without(table: Table, names: Collection[str]) -> Table:
    """Returns the table without these columns."""
    kept = [i for i, name in enumerate(table.columns) if name not in names]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows)


def named(name: str, value: Value) -> str:
    """Returns a column's value with the column's name, on one line."""
    return f"{name.replace(' ', BOUND)}{BOUND}{value_text(value)}"


def _sentence(table: Table, values: Mapping[str, Value]) -> str:
    said = [named(name, value) for name, value in values.items() if value is not None]
    if not said:
        return ""
    columns = _by_column(table)
    is_everywhere = all(None not in columns[name] for name, v in values.items() if v is not None)
    where = "In all rows" if is_everywhere else "In all rows, where it has an effect"
    return f"{where}: {', '.join(said)}."


def _by_column(table: Table) -> dict[str, tuple[Value, ...]]:
    return dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
