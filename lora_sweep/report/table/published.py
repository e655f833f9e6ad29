"""A study's published table, rendered beside ours: what its summaries say, and no more.

The file has a row a cell: init, task, rank_min, rank_max, alpha_min, alpha_max, lr, rank_average,
median, std; metrics in percent, `fixed` the baselines, blank where a setting has no effect.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lora_sweep.errors import LoraSweepError
from lora_sweep.report.statistics.paired import CONFIDENCE
from lora_sweep.report.table.labels import cell_words, init_words
from lora_sweep.report.table.summarise import init_place
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import RESULT, Table
from lora_sweep.report.text.values import escape_markdown, median_and_std, plain
from lora_sweep.vocabulary import FIXED, STUDY_COLUMNS

N_SEEDS = 5
"""Seeds a cell that are assumed: the study names five."""
_NEEDED = ("init", "lr", "median", "std")
_LIMITS = """\
These numbers are quoted, not run: {file}. Medians and stds are all there is, so seeds can't be
paired, the choice of a learning rate can't be undone, and no verdict is given."""


def read_published(path: Path) -> pd.DataFrame:
    """Returns the published cells, inits in the order of every table, best first.

    Raises:
        LoraSweepError: the file can't be read or lacks a column.
    """
    try:
        cells = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise LoraSweepError(f"{path} can't be read as a CSV table: {error}") from error
    lacking = [name for name in _NEEDED if name not in cells.columns]
    if lacking or cells.empty:
        raise LoraSweepError(
            f"{path} must have rows and the columns {', '.join(_NEEDED)}, but got "
            f"{len(cells)} rows with {', '.join(map(str, cells.columns))}"
        )
    for name in ("median", "std"):
        if not pd.api.types.is_numeric_dtype(cells[name]):
            raise LoraSweepError(f"{path}: {name} must be numbers, but got text")
    place = cells["init"].map(lambda init: init_place(str(init)))
    order = sorted(range(len(cells)), key=lambda i: (place[i], -cells["median"][i]))
    return cells.iloc[order].reset_index(drop=True)


def published_table(cells: pd.DataFrame) -> Table:
    """Returns the table of all published cells, with the study's columns.

    Args:
        cells: as from `read_published`.
    """
    names = {words: setting.replace(".", "_") for words, setting in STUDY_COLUMNS.items()}
    names["Task"] = "task"
    rows = tuple(
        (
            init_words(str(cell["init"])),
            *(_whole(plain(cell.get(name))) for name in names.values()),
            median_and_std(cell["median"] / 100, cell["std"] / 100),
        )
        for cell in cells.to_dict("records")
    )
    columns = ("Init", *names, RESULT)
    return Table("Published, for comparison", columns, rows, kept=columns)


def published_section(path: Path) -> list[str]:
    """Returns paragraphs of Markdown: the table, and what can be said of them.

    Raises:
        LoraSweepError: the file can't be read or lacks a column.
    """
    cells = read_published(path)
    limits = " ".join(_LIMITS.format(file=escape_markdown(path.name)).split())
    table = published_table(cells)
    parts = [f"## {table.title}", limits, to_markdown(table)]
    said = [*_against_baselines(cells), *_selection(cells), *_identical(cells)]
    return [*parts, "\n".join(f"- {sentence}" for sentence in said)] if said else parts


def _against_baselines(cells: pd.DataFrame) -> Iterator[str]:
    """Each init's best cell against the baselines, as unpaired samples of five seeds.

    t of their stds, as for means, leaves 94 to 96 % of differences of medians inside, one std
    being up to four times the other.
    """
    named = cells.rename(columns={"rank_average": "rank.average"})
    best = named[named["init"] != FIXED].drop_duplicates("init")
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, 2 * (N_SEEDS - 1)))
    std = _std_of_median(N_SEEDS)
    for cell in best.to_dict("records"):
        for baseline in named[named["init"] == FIXED].to_dict("records"):
            difference = cell["median"] - baseline["median"]
            half = t * std * np.hypot(cell["std"], baseline["std"])
            if np.isnan(half):
                continue
            yield (
                f"{escape_markdown(cell_words(cell))} against {cell_words(baseline)}: "
                f"{difference:+.2f} points; {N_SEEDS} seeds with these stds leave "
                f"± {half:.2f} open even without a choice among cells."
            )


def _std_of_median(n: int) -> float:
    """The std of the median of n standard normal values, n odd.

    Its place in their distribution has a beta distribution (David and Nagaraja, Order Statistics,
    2003, section 2.1).
    """
    place = stats.beta((n + 1) / 2, (n + 1) / 2)
    return float(place.expect(lambda u: stats.norm.ppf(u) ** 2) ** 0.5)


def _selection(cells: pd.DataFrame) -> Iterator[str]:
    """How far the best of so many equal cells would stand out by chance."""
    learnt = cells[cells["init"] != FIXED].dropna(subset=["median", "std"])
    if len(learnt) < 2:
        return
    rng = np.random.default_rng(0)
    stds = learnt["std"].to_numpy(float)
    runs = rng.normal(0.0, stds[:, None], (4_000, len(stds), N_SEEDS))
    medians = np.median(runs, axis=-1)
    chance = float((medians.max(axis=1) - medians.mean(axis=1)).mean())
    seen = float(learnt["median"].max() - learnt["median"].mean())
    yield (
        f"The best of {len(learnt)} learnt cells with a std stands {seen:.2f} points above their "
        f"mean. Were all equal, with these stds, {N_SEEDS} seeds a cell and normal noise, the "
        f"best would stand {chance:.2f} above it by chance."
    )


def _identical(cells: pd.DataFrame) -> Iterator[str]:
    """Cells of several inits with the same numbers: seldom a coincidence."""
    for _, same in cells.groupby(["lr", "median", "std"], sort=False):
        if same["init"].nunique() > 1:
            inits = ", ".join(escape_markdown(init_words(init)) for init in same["init"])
            cell = same.iloc[0]
            value = median_and_std(cell["median"] / 100, cell["std"] / 100)
            yield f"The same numbers stand in several cells (LR {cell['lr']:g}, {value}): {inits}."


def _whole(value: str | int | float | None) -> str | int | float | None:
    """Whole numbers without a point: a blank in a column made floats of them."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
