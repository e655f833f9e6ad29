"""The section on the metric over the rank, of runs that train random squares of R."""

from collections.abc import Sequence

from lora_sweep.report.table.rank_curves import rank_curves
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import RESULT, SEEDS, Table
from lora_sweep.report.text.values import median_and_std

_HOW = (
    "After the last epoch every matrix gets the same rank, one after the other of the range, with "
    "R and head as that one training left them. The table of all cells has these runs at "
    "`rank.average`."
)


def rank_curves_section(sweep: Sweep, pictures: Sequence[str]) -> list[str]:
    """Returns heading, table, explanation and pictures; nothing where no run has a curve.

    Args:
        sweep: what is reported.
        pictures: of the section, in Markdown.
    """
    curves = rank_curves(sweep.summary, sweep.courses)
    if curves.empty:
        return []
    columns = ("Cell", "Rank", RESULT, SEEDS)
    rows = tuple(
        (cell, rank, median_and_std(median, std), str(n_seeds))
        for cell, rank, median, std, n_seeds in curves.itertuples(index=False)
    )
    table = Table("The metric over the rank", columns, rows, kept=columns)
    return [f"## {table.title}", to_markdown(table), _HOW, *pictures]
