"""Tidy table -> summary: a row a cell, with its median and sample std over the seeds.

A cell is one combination of all settings but the seed; None equals None. `shares_a_run` marks
what the published study overlooked: a run that is counted twice. Metrics stay 0 to 1 here.
"""

from typing import Any

import pandas as pd

from lora_sweep.allocation.mode import modes_without_logits
from lora_sweep.report.table.tidy import setting_names
from lora_sweep.vocabulary import FAILED, FINISHED, FIXED, MISSING, PRUNED, UNREADABLE

_FIRST_INITS = ("uniform", "randn", "quadratic", "left_skewed")
STATISTICS = (
    "median", "std", "final_median", "final_std", "n_seeds", "n_expected", "n_failed", "n_missing",
    "n_unreadable", "n_pruned", "n_collapsed", "spent_average",
    "n_trained", "seeds", "folders", "shares_a_run",
)  # fmt: skip


def summarise_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns a row a cell, in the order of every table and figure.

    Columns: the settings but the seed, then

    - `median`, `std` (ddof = 1; NaN for one seed) of the reported metric over the finished runs,
      `final_median`, `final_std` of the final one; NaN without a finished run;
    - `n_seeds` (finished), `n_expected` (all), `n_failed`, `n_missing`, `n_unreadable`,
      `n_pruned`, `n_collapsed`;
    - `n_trained`: trained parameters without the head; missing without a finished run;
    - `spent_average`: median over the finished runs of the average rank that each spends at its
      reported epoch; NaN without one;
    - `seeds`, `folders` of the finished runs, in the order of the seeds;
    - `shares_a_run`: one of its runs also stands in another cell, or twice in this one.

    Order: inits as in the study, others by name, fixed ranks last; within an init by corpus, as
    they appear, for metrics of several are not to be ranked; within a corpus by median, highest
    first, cells without a finished run last; ties as in `runs`.

    Args:
        runs: as from `collect_runs`. Rows without a seed belong to no cell and are left out.
    """
    known = runs[runs["seed"].notna()].reset_index(drop=True)
    settings = [name for name in setting_names(runs) if name != "seed"]
    is_shared = known["fingerprint"].notna() & known["fingerprint"].duplicated(keep=False)
    known = known.assign(is_shared=is_shared)
    numbers = known.groupby(settings, dropna=False, sort=False).ngroup()
    cells = [_describe(cell) for _, cell in known.groupby(numbers)]
    statistics = pd.DataFrame(cells, columns=list(STATISTICS))
    summary = known.loc[~numbers.duplicated(), settings].reset_index(drop=True).join(statistics)
    return _in_order(summary)


def cell_settings(summary: pd.DataFrame) -> list[str]:
    """Returns the columns of the summary that are settings."""
    return [name for name in summary.columns if name not in STATISTICS]


def _describe(cell: pd.DataFrame) -> dict[str, Any]:
    finished = cell[cell["status"] == FINISHED].sort_values("seed", kind="stable")
    reported, final = finished["reported_metric"], finished["final_metric"]
    n_with = cell["status"].value_counts()
    return {
        "median": reported.median(),
        "std": reported.std(ddof=1),
        "final_median": final.median(),
        "final_std": final.std(ddof=1),
        "n_seeds": len(finished),
        "n_expected": len(cell),
        "n_failed": int(n_with.get(FAILED, 0)),
        "n_missing": int(n_with.get(MISSING, 0)),
        "n_unreadable": int(n_with.get(UNREADABLE, 0)),
        "n_pruned": int(n_with.get(PRUNED, 0)),
        "n_collapsed": int(finished["collapsed"].sum()),
        "spent_average": finished["spent_average"].median(),
        "n_trained": finished["n_trained_without_head"].max(),
        "seeds": tuple(int(seed) for seed in finished["seed"]),
        "folders": tuple(finished["folder"]),
        "shares_a_run": bool(cell["is_shared"].any()),
    }


def _in_order(summary: pd.DataFrame) -> pd.DataFrame:
    medians = summary["median"].tolist()
    inits = [init_place(str(init)) for init in summary["init"]]
    corpora = _corpus_numbers(summary)

    def place(row: int) -> tuple[tuple[int, str], int, bool, float]:
        has_none = bool(pd.isna(medians[row]))
        return inits[row], corpora[row], has_none, 0.0 if has_none else -medians[row]

    order = sorted(range(len(summary)), key=place)
    return summary.iloc[order].reset_index(drop=True)


def _corpus_numbers(cells: pd.DataFrame) -> list[int]:
    """The number of each cell's corpus, in order of appearance."""
    same = [name for name in setting_names(cells) if name.startswith("data.")]
    if not same:
        return [0] * len(cells)
    return [int(n) for n in cells.groupby(same, dropna=False, sort=False).ngroup()]


def init_place(init: str) -> tuple[int, str]:
    """Returns what inits are ordered by.

    As in the study, others by name, then modes without logits, fixed ranks last; of one init the
    ways to allocate by name.
    """
    schedule, _, mode = init.partition(", ")
    if schedule in _FIRST_INITS:
        return _FIRST_INITS.index(schedule), mode
    return len(_FIRST_INITS) + (init in modes_without_logits()) + 2 * (init == FIXED), init
