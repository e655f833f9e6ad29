"""Summary -> the table of all cells. The expected rows are the study's, as published."""

import math
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from lora_sweep.report.pages.cells import cells_table, to_csv_table, without_formulas
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.labels import varying_settings
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import Table
from lora_sweep.store.epochs import EpochRecord

Settings = Callable[..., dict[str, Any]]

PUBLISHED = {
    "uniform": """\
| Task   |   Rank Min |   Rank Max |   Alpha Min |   Alpha Max |    LR |   Rank Avg | Median ± Std   |
|:-------|-----------:|-----------:|------------:|------------:|------:|-----------:|:---------------|
| cola   |          5 |         25 |         0.5 |           3 | 0.001 |         20 | 67.84 ± 0.87   |
| cola   |          5 |         25 |         0.5 |           3 | 0.02  |         20 | 67.75 ± 1.81   |
| cola   |          5 |         25 |         0.5 |           3 | 0.002 |         20 | 67.30 ± 0.37   |
| cola   |          5 |         25 |         0.5 |           3 | 0.01  |         20 | 67.05 ± 1.04   |
| cola   |          5 |         25 |         0.5 |           3 | 0.005 |         20 | 66.94 ± 0.52   |""",  # noqa: E501
    "randn": """\
| Task   |   Rank Min |   Rank Max |   Alpha Min |   Alpha Max |    LR |   Rank Avg | Median ± Std   |
|:-------|-----------:|-----------:|------------:|------------:|------:|-----------:|:---------------|
| cola   |          5 |         25 |         0.5 |           3 | 0.002 |         20 | 68.22 ± 1.05   |
| cola   |          5 |         25 |         0.5 |           3 | 0.01  |         20 | 67.60 ± 0.94   |
| cola   |          5 |         25 |         0.5 |           3 | 0.02  |         20 | 67.48 ± 0.85   |
| cola   |          5 |         25 |         0.5 |           3 | 0.005 |         20 | 66.94 ± 1.20   |
| cola   |          5 |         25 |         0.5 |           3 | 0.001 |         20 | 65.92 ± 0.80   |""",  # noqa: E501
    "quadratic": """\
| Task   |   Rank Min |   Rank Max |   Alpha Min |   Alpha Max |    LR |   Rank Avg | Median ± Std   |
|:-------|-----------:|-----------:|------------:|------------:|------:|-----------:|:---------------|
| cola   |          5 |         25 |         0.5 |           3 | 0.02  |         20 | 68.13 ± 0.84   |
| cola   |          5 |         25 |         0.5 |           3 | 0.002 |         20 | 67.92 ± 0.46   |
| cola   |          5 |         25 |         0.5 |           3 | 0.01  |         20 | 67.10 ± 1.46   |
| cola   |          5 |         25 |         0.5 |           3 | 0.005 |         20 | 66.94 ± 1.20   |
| cola   |          5 |         25 |         0.5 |           3 | 0.001 |         20 | 65.92 ± 0.80   |""",  # noqa: E501
    "left_skewed": """\
| Task   |   Rank Min |   Rank Max |   Alpha Min |   Alpha Max |    LR |   Rank Avg | Median ± Std   |
|:-------|-----------:|-----------:|------------:|------------:|------:|-----------:|:---------------|
| cola   |          5 |         25 |         0.5 |           3 | 0.005 |         20 | 67.78 ± 1.21   |
| cola   |          5 |         25 |         0.5 |           3 | 0.01  |         20 | 67.19 ± 2.00   |
| cola   |          5 |         25 |         0.5 |           3 | 0.001 |         20 | 67.16 ± 0.99   |
| cola   |          5 |         25 |         0.5 |           3 | 0.002 |         20 | 67.14 ± 0.92   |
| cola   |          5 |         25 |         0.5 |           3 | 0.02  |         20 | 65.56 ± 0.95   |""",  # noqa: E501
}


def _table(sweep: Any) -> Table:
    return cells_table(summarise_runs(collect_runs(sweep.path)))


def _finish_cell(sweep: Any, settings: dict[str, Any], median: float, std: float) -> None:
    """Five runs with this median and sample std: of (-2, ..., 2) the latter is sqrt(2.5)."""
    for seed in range(5):
        best = (median + (seed - 2) * std / math.sqrt(2.5)) / 100
        name = f"{settings['init']} {settings['lr']} {settings['rank.max']} {seed}"
        sweep.finish(name, best, settings | {"seed": seed})


def _fields(line: str) -> list[str]:
    return [field.strip(" *") for field in line.split("|")[1:-1]]


def test_published_runs_print_published_rows(sweep: Any, settings: Settings) -> None:
    expected = []
    for init, table in PUBLISHED.items():
        words = init.replace("_", " ").capitalize()
        expected += [[words, *_fields(line)] for line in table.splitlines()[2:]]
        for line in sorted(table.splitlines()[2:]):
            fields = _fields(line)
            median, std = map(float, fields[7].split(" ± "))
            _finish_cell(sweep, settings(init=init, lr=float(fields[5])), median, std)
    said, heads, _, *rows = to_markdown(_table(sweep)).replace("\n\n", "\n").splitlines()
    assert [_fields(row)[:9] for row in rows] == expected
    published = _fields(PUBLISHED["uniform"].splitlines()[0])
    assert _fields(heads) == ["Init", *published, "Final Median ± Std"]
    assert said == "In all rows: Seeds 5."


def test_highest_median_of_a_corpus_is_bold(sweep: Any, settings: Settings) -> None:
    for task, lr, median in (
        ("cola", 0.1, 60),
        ("cola", 0.2, 50),
        ("rte", 0.1, 40),
        ("rte", 0.2, 30),
    ):
        own = settings(lr=lr, init="randn" if lr == 0.2 else "uniform", data__task=task)
        sweep.finish(f"{task}{lr}", median / 100, own | {"data.name": task})
    text = to_markdown(_table(sweep))
    assert re.findall(r"\*\*(.*?)\*\*", text) == ["60.00", "40.00"]


@pytest.mark.parametrize("n_cells", [1, 2])
def test_no_cell_leads_alone_or_where_all_collapsed(
    n_cells: int, sweep: Any, settings: Settings
) -> None:
    for lr in range(1, n_cells + 1):
        sweep.finish(f"{lr}", 0.0, settings(lr=lr / 10), collapsed=n_cells > 1)
    assert _table(sweep).leading == frozenset()


def test_baseline_stands_last_with_blanks(sweep: Any, settings: Settings) -> None:
    _finish_cell(sweep, settings(init="fixed", rank__max=20, rank__average=20), 68.08, 1.21)
    _finish_cell(sweep, settings(init="fixed", rank__max=25, rank__average=25), 68.55, 0.81)
    _finish_cell(sweep, settings(), 67.84, 0.87)
    table = _table(sweep)
    assert [row[:9] for row in table.rows[1:]] == [
        ("Fixed", "cola", None, None, None, None, None, 25, "68.55 ± 0.81"),
        ("Fixed", "cola", None, None, None, None, None, 20, "68.08 ± 1.21"),
    ]
    assert "nan" not in to_markdown(table).lower()
    assert "None" not in to_markdown(table)


def test_seeds_and_final_metric_follow(sweep: Any, settings: Settings) -> None:
    _finish_cell(sweep, settings(), 67.84, 0.87)
    table = _table(sweep)
    assert table.columns[8:] == ("Median ± Std", "Seeds", "Final Median ± Std")
    assert table.rows[0][8:] == ("67.84 ± 0.87", "5", "57.84 ± 0.87")


def test_incomplete_cells_are_marked(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.6, settings(seed=0))
    sweep.finish("b", 0.0, settings(seed=1), collapsed=True)
    sweep.fail("c", settings(seed=2), "no")
    sweep.start("d", settings(seed=3))
    sweep.start("e", settings(seed=4))
    sweep.start("f", settings(lr=0.02))
    sweep.finish("g", 0.2, settings(lr=0.5), fingerprint="same")
    sweep.finish("h", 0.1, settings(lr=0.6), fingerprint="same")
    table = _table(sweep)
    ends = [(row[6], row[9], row[-1]) for row in table.rows]
    assert ends == [
        (0.001, "2/5", "1 failed, 2 missing, 1 collapsed at the end"),
        (0.5, "1", "shares a run"),
        (0.6, "1", "shares a run"),
        (0.02, "0/1", "1 missing"),
    ]
    assert table.rows[-1][8] is None


def test_lone_seed_keeps_its_zeros(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.678, settings())
    fields = _fields(to_markdown(_table(sweep)).splitlines()[2])
    assert fields[8:] == ["67.80", "1", "57.80"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"training__epochs": 5}, ["training.epochs"], id="number"),
        pytest.param({"model__dropout": 0.1}, ["model.dropout"], id="number against None"),
        pytest.param({"allocation__mode": "published"}, ["allocation.mode"], id="text"),
        pytest.param({"lr": 0.02, "rank__min": 4}, [], id="in the study's columns"),
        pytest.param({"init": "fixed"}, [], id="without effect for fixed ranks"),
        pytest.param(
            {"init": "fixed", "training__epochs": 5}, ["training.epochs"], id="fixed ranks too"
        ),
        pytest.param(
            {"rank__average": 15, "budget__start_average": 15.0}, [], id="follows Rank Avg"
        ),
        pytest.param(
            {"budget__start_average": 25.0}, ["budget.start_average"], id="leaves Rank Avg"
        ),
        pytest.param({"data__task": "rte", "data__name": "rte"}, [], id="name is the task"),
        pytest.param({"data__name": "own"}, ["data.name"], id="name is not the task"),
    ],
)
def test_settings_that_vary_get_a_column(
    sweep: Any, settings: Settings, changes: dict[str, Any], expected: list[str]
) -> None:
    sweep.finish("a", 0.5, settings())
    sweep.finish("b", 0.6, settings(**changes))
    summary = summarise_runs(collect_runs(sweep.path))
    assert varying_settings(summary) == expected
    assert cells_table(summary).columns[11:] == tuple(expected)


def _spending(ranks: list[int], budget: float) -> EpochRecord:
    spent = sum(rank**2 for rank in ranks)
    metrics: dict[str, float | None] = {"matthews_correlation": 0.5}
    return EpochRecord(1, 8, 0.5, metrics, 0.5, budget, 0.0, spent, [*map(float, ranks)], ranks)


def _two_matrices(
    sweep: Any, name: str, settings: dict[str, Any], ranks: list[int], budget: float = 0.0
) -> None:
    matrices = ["encoder.layer.0.query", "encoder.layer.0.value"]
    epochs = [_spending(ranks, budget)]
    sweep.finish(name, 0.5, settings, matrices=matrices, epochs=epochs)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (20.0, 20.0, 20),
        (562.5**0.5, 562.5**0.5, 562.5**0.5),
        (312.5**0.5, 25.0, "17.7 → 25"),
        (40.0, 20.0, "40 → 20"),
    ],
    ids=["follows rank.average", "its own", "grows", "shrinks"],
)
def test_rank_avg_is_what_the_budget_pays_for(
    start: float, end: float, expected: object, sweep: Any, settings: Settings
) -> None:
    own = settings(budget__start_average=start, budget__end_average=end)
    sweep.finish("a", 0.5, own)
    ((row),) = _table(sweep).rows
    assert row[7] == expected and own["rank.average"] == 20


def test_spent_average_is_the_reported_epochs_median_over_seeds(
    sweep: Any, settings: Settings
) -> None:
    own = settings(budget__start_average=40.0, budget__end_average=20.0)
    # Root mean squares: sqrt(50 / 2) = 5, sqrt(338 / 2) = 13, sqrt(578 / 2) = 17.
    for seed, ranks in enumerate(([1, 7], [7, 17], [7, 23])):
        _two_matrices(sweep, f"{seed}", own | {"seed": seed}, ranks)
    table = _table(sweep)
    assert table.columns[11] == "Spent Avg"
    assert table.rows[0][7] == "40 → 20" and table.rows[0][11] == 13.0
    csv = to_csv_table(summarise_runs(collect_runs(sweep.path)))
    assert csv["spent_average"].tolist() == [13.0]


@pytest.mark.parametrize(
    ("ranks", "is_shown"),
    # Root mean squares: 20; sqrt(401) = 20.02; sqrt(362) = 19.03; sqrt(380.5) = 19.51.
    [([20, 20], False), ([19, 21], False), ([18, 20], True), ([20, 19], True)],
    ids=["all of it", "nearly", "less", "half a rank less"],
)
def test_spent_average_is_shown_where_it_is_another(
    ranks: list[int], is_shown: bool, sweep: Any, settings: Settings
) -> None:
    _two_matrices(sweep, "a", settings(budget__end_average=20.0), ranks)
    assert ("Spent Avg" in _table(sweep).columns) == is_shown


def test_kind_of_factors_is_said_where_runs_differ(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings())
    drawn = {"model.factors": "randomised", "model.factors_seed": 42}
    sweep.finish("b", 0.6, settings() | drawn)
    table = _table(sweep)
    place = table.columns.index("model.factors")
    assert [row[place] for row in table.rows] == ["randomised", "exact"]


def test_varying_values_are_printed_plainly(sweep: Any, settings: Settings) -> None:
    sweep.finish(
        "a", 0.5, settings(model__adapted=["query"], model__dropout=0.1, model__tied=True)
    )
    sweep.finish("b", 0.6, settings(model__adapted=["query", "value"], model__tied=False))
    table = _table(sweep)
    assert table.columns[11:] == ("model.dropout", "model.adapted", "model.tied")
    assert [row[11:] for row in table.rows] == [
        (None, "query; value", "false"),
        (0.1, "query", "true"),
    ]


def test_text_like_numbers_stays_text(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings(data__task="0010"))
    sweep.finish("b", 0.6, settings(data__task="1e5"))
    markdown = to_markdown(_table(sweep))
    assert "| 0010 " in markdown
    assert "| 1e5 " in markdown


def test_close_learning_rates_stay_apart(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.6, settings(lr=0.0012345678))
    sweep.finish("b", 0.5, settings(lr=0.0012345679))
    *_, first, second = to_markdown(_table(sweep)).splitlines()
    assert [_fields(line)[6] for line in (first, second)] == ["0.0012345678", "0.0012345679"]


def test_table_escapes_its_text(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings(data__task="a|b\nc"))
    assert r"| a\|b c " in to_markdown(_table(sweep))


def test_csv_holds_raw_numbers(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings(seed=1, training__epochs=5))
    sweep.finish("b", 0.75, settings(seed=0, training__epochs=5))
    sweep.start("c", settings(init="fixed"))
    table = to_csv_table(summarise_runs(collect_runs(sweep.path)))
    study = "data.task rank.min rank.max alpha.min alpha.max lr rank.average"
    assert table.columns.tolist()[:9] == ["init", *study.split(), "training.epochs"]
    first, second = table.to_dict("records")
    assert (first["median"], first["n_seeds"], first["notes"]) == (0.625, 2, "")
    assert first["std"] == pytest.approx(0.25 / math.sqrt(2))
    assert (first["seeds"], first["folders"]) == ("0; 1", "b; a")
    assert (second["n_expected"], second["notes"]) == (1, "1 missing")
    assert pd.isna(second["median"]) and pd.isna(second["lr"])


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_is_no_formula_in_a_spreadsheet(text: str) -> None:
    table = pd.DataFrame([{"task": text, "lr": -0.5, "note": "a=b", "none": None}])
    (row,) = without_formulas(table).to_dict("records")
    assert row == {"task": f"'{text}", "lr": -0.5, "note": "a=b", "none": None}


def test_fixed_ranks_have_no_largest_rank(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.5, settings(init="fixed", rank__max=25, rank__average=20))
    sweep.finish("b", 0.4, settings(rank__max=25))
    table = _table(sweep)
    place = table.columns.index("Rank Max")
    assert [row[place] for row in table.rows] == [25, None]


def test_largest_rank_stays_where_it_alone_tells_cells_apart(
    sweep: Any, settings: Settings
) -> None:
    for high in (20, 25):
        sweep.finish(f"r{high}", 0.5, settings(init="fixed", rank__max=high, rank__average=20))
    fixed = _table(sweep)
    place = fixed.columns.index("Rank Max")
    assert [row[place] for row in fixed.rows] == [20, 25]
