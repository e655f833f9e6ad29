"""Several sweeps against the first: cells of the same settings, seed by seed."""

import pandas as pd

from lora_sweep.report.compare.comparison import Line, compare_pairs
from lora_sweep.report.compare.question import STANDARD_QUESTION, Question
from lora_sweep.report.compare.sentences import how_to_read, line_table
from lora_sweep.report.table.arms import arm_of, ended_runs
from lora_sweep.report.table.cell_names import cell_names
from lora_sweep.report.table.tidy import setting_names
from lora_sweep.report.text.markdown import to_markdown

_READ = """\
A cell of the first sweep against the cell with the same settings in another one, each seed
against itself. The correction is over all lines of this table."""


def between_section(
    runs: pd.DataFrame, *, question: Question = STANDARD_QUESTION, is_explained: bool = False
) -> list[str]:
    """Returns paragraphs of Markdown; none without several sweeps that share a cell.

    Args:
        runs: as from `collect_sweeps`.
        question: what is asked.
        is_explained: whether a table of comparisons stands above, with how it is read.
    """
    lines = compare_sweeps(runs, question=question)
    if not lines:
        return []
    table = line_table(lines, question, title="Between the sweeps")
    how = "Columns are read as above." if is_explained else how_to_read(question)
    return [f"## {table.title}", to_markdown(table), f"{' '.join(_READ.split())} {how}"]


def compare_sweeps(
    runs: pd.DataFrame, *, question: Question = STANDARD_QUESTION
) -> tuple[Line, ...]:
    """Returns a line for each cell and later sweep: later minus first.

    Args:
        runs: as from `collect_sweeps`.
        question: what is asked.
    """
    if "sweep" not in runs.columns:
        return ()
    ended = ended_runs(runs)
    if ended.empty:
        return ()
    settings = [name for name in setting_names(runs) if name not in ("sweep", "seed")]
    first = runs["sweep"].iloc[0]
    cells_of = [same for _, same in ended.groupby(settings, dropna=False, sort=False)]
    names = cell_names(pd.DataFrame([same[settings].iloc[0] for same in cells_of]))
    pairs = []
    for name, same in zip(names, cells_of, strict=True):
        cells = {str(sweep): own for sweep, own in same.groupby("sweep", sort=False)}
        if first in cells:
            arms = {sweep: arm_of(f"{name}, {sweep}", own) for sweep, own in cells.items()}
            pairs += [(arm, arms[first]) for sweep, arm in arms.items() if sweep != first]
    return compare_pairs(pairs, question=question)
