"""The tables as LaTeX, for a paper: booktabs, one table an init."""

from collections.abc import Sequence

from tabulate import LATEX_ESCAPE_RULES, tabulate

from lora_sweep.report.pages.tables import Table, Value

_PREAMBLE = "% Needs \\usepackage{booktabs}. Made by lora_sweep, of the cells of report.md.\n"


def to_latex(tables: Sequence[Table]) -> str:
    """Returns a `table` environment for each table; all text is escaped.

    Args:
        tables: as from `init_tables`.
    """
    return _PREAMBLE + "".join(f"\n{_environment(table)}" for table in tables)


def _environment(table: Table) -> str:
    rows = [[_text(value) for value in row] for row in table.rows]
    body = tabulate(
        rows,
        headers=list(table.columns),
        tablefmt="latex_booktabs",
        disable_numparse=True,
        colalign=[_alignment(table, i) for i in range(len(table.columns))],
    )
    caption = "".join(LATEX_ESCAPE_RULES.get(c, c) for c in table.title)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", body, r"\end{table}"]
    return "\n".join(lines).replace("±", r"$\pm$") + "\n"


def _alignment(table: Table, column: int) -> str:
    is_number = any(isinstance(row[column], int | float) for row in table.rows)
    return "right" if is_number else "left"


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else str(value)
