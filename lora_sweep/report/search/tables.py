"""A search's record -> its tables: the best trials, the second look at them, what mattered.

Metrics are percent with two decimals, as in the other tables; a std is the sample one (ddof = 1)
over a trial's seeds.
"""

import math
from collections.abc import Sequence

from lora_sweep.report.search.trials import (
    best_first,
    pareto_front,
    second_looks,
    setting_names,
    spread,
)
from lora_sweep.report.text.table import RESULT, SEEDS, Table
from lora_sweep.report.text.values import Value, median_and_std
from lora_sweep.store.search_record import SearchRecord, TrialRecord
from lora_sweep.vocabulary import FAILED

MOST_TRIALS = 10
"""Trials that the table of a search with one objective shows."""


def search_tables(record: SearchRecord) -> list[Table]:
    """Returns the tables of a search that have rows, in the order of the report."""
    made = (best_table(record), fresh_table(record), importance_table(record))
    return [table for table in made if table.rows]


def best_table(record: SearchRecord) -> Table:
    """Returns the best trials, the best first; of two objectives, the whole Pareto front.

    Columns: the trial's number, a column a setting, the metric's median ± std over the seeds, the
    seeds, and the trained parameters where they are an objective.
    """
    is_front = len(record.objectives) > 1
    trials = pareto_front(record) if is_front else best_first(record)[:MOST_TRIALS]
    names = setting_names(record)
    columns = ("Trial", *names, RESULT, SEEDS)
    return Table(
        title="Pareto front" if is_front else "Best trials",
        columns=(*columns, "Trained Params") if is_front else columns,
        rows=tuple(_best_row(trial, names) for trial in trials),
        settings=tuple(names),
        kept=(RESULT, "Trained Params"),
    )


def fresh_table(record: SearchRecord) -> Table:
    """Returns both numbers of each trial that was run again, and how much better the first was."""
    rows = [
        (
            look.number,
            median_and_std(*spread(look.metrics)),
            _n_seeds(look.metrics),
            median_and_std(*spread(look.fresh_metrics)),
            _n_seeds(look.fresh_metrics),
            points(look.optimism),
        )
        for look in second_looks(record)
    ]
    first, again = "In the Search", "On Fresh Seeds"
    return Table(
        title="The best trials again, on fresh seeds",
        columns=("Trial", first, SEEDS, again, "Fresh Seeds", "Optimism"),
        rows=tuple(rows),
        kept=(first, again, "Optimism"),
    )


def importance_table(record: SearchRecord) -> Table:
    """Returns each setting's share in the metric's variance, the largest first."""
    shares = sorted((record.importances or {}).items(), key=lambda one: (-one[1], one[0]))
    return Table(
        title="What mattered",
        columns=("Setting", "Share of the Variance"),
        rows=tuple((name, f"{100 * share:.1f} %") for name, share in shares),
        kept=("Share of the Variance",),
    )


def failure_table(record: SearchRecord) -> Table:
    """Returns the failed trials and why they failed, by number."""
    failed = [trial for trial in record.trials if trial.status == FAILED]
    return Table(
        title="Failed trials",
        columns=("Trial", "Error"),
        rows=tuple((trial.number, trial.error) for trial in failed),
        kept=("Error",),
    )


def points(difference: float) -> str | None:
    """Returns a difference of metrics (0 to 1) in percent points, with its sign; None for NaN."""
    return None if math.isnan(difference) else f"{100 * difference:+z.2f}"


def _best_row(trial: TrialRecord, names: Sequence[str]) -> tuple[Value, ...]:
    assert trial.values is not None
    metric, *others = trial.values
    row = (
        trial.number,
        *(trial.params.get(name) for name in names),
        median_and_std(metric, spread(trial.metrics)[1]),
        _n_seeds(trial.metrics),
    )
    return (*row, *(round(other) for other in others))


def _n_seeds(metrics: Sequence[float | None]) -> str:
    n = sum(metric is not None for metric in metrics)
    return str(n) if n == len(metrics) else f"{n}/{len(metrics)}"
