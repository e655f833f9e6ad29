"""A table as Markdown."""

import pandas as pd

from lora_sweep.report.text.folding import BOUND, fold, foldable
from lora_sweep.report.text.table import RESULT, Table
from lora_sweep.report.text.values import Value, escape_markdown


def to_markdown(table: Table, *, is_escaped: bool = False) -> str:
    """Returns the table in Markdown, padded as the study's tables are.

    Columns with one value stand in a line above it. The leading results are bold.

    Args:
        table: what is written.
        is_escaped: its texts are Markdown already, with links.
    """
    shown, said = fold(table, foldable(table))
    rows = [[_cell(value, is_escaped=is_escaped) for value in row] for row in shown.rows]
    for i in table.leading:
        place = shown.columns.index(RESULT)
        rows[i][place] = f"**{rows[i][place]}**"
    # Text that looks like a number stays text: 67.80 is not 67.8.
    is_text = [any(isinstance(row[i], str) for row in rows) for i in range(len(shown.columns))]
    text = pd.DataFrame(rows, columns=list(shown.columns), dtype=object).to_markdown(
        index=False,
        missingval="",
        floatfmt=".12g",
        disable_numparse=[i for i, is_so in enumerate(is_text) if is_so],
    )
    line = said.replace(BOUND, " ")
    return "\n\n".join([escape_markdown(line), str(text)] if line else [str(text)])


def _cell(value: Value, *, is_escaped: bool) -> Value:
    return escape_markdown(value) if isinstance(value, str) and not is_escaped else value
