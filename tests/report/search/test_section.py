"""The section «Search» and its tables, against records worked by hand."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from lora_sweep.report import show
from lora_sweep.report.search.section import optimism_lines, search_section, trials_line
from lora_sweep.report.search.tables import (
    best_table,
    failure_table,
    fresh_table,
    importance_table,
    search_tables,
)
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.report.write import Forms, find, write_report
from lora_sweep.store.search_record import SearchRecord, write_search

from ..searches import again, search, trial

NO_RUNS = pd.DataFrame(columns=["folder", "status", "collapsed"])

Settings = Callable[..., dict[str, Any]]
ONE, TWO = trial(0, 0.4, 0.5, 0.6), trial(1, 0.3, 0.4, 0.8)


def test_best_trials_stand_with_settings_and_spread() -> None:
    table = best_table(search(trial(2, 0.1, 0.2, 0.3), trial(3), ONE))
    assert table.title == "Best trials"
    assert table.columns == ("Trial", "rank.max", "lr", "Median ± Std", "Seeds")
    assert table.rows == (
        (0, 20, 0.01, "50.00 ± 10.00", "3"),
        (2, 22, 0.03, "20.00 ± 10.00", "3"),
    )


def test_table_shows_the_ten_best() -> None:
    table = best_table(search(*[trial(n, 0.0, n / 100, 1.0) for n in range(12)]))
    assert [row[0] for row in table.rows] == list(range(11, 1, -1))


def test_front_stands_with_trained_parameters() -> None:
    small, large = trial(1, 0.1, 0.2, 0.3, n_params=100), trial(0, 0.4, 0.5, 0.6, n_params=900)
    beaten = trial(2, 0.3, 0.4, 0.5, n_params=900)
    table = best_table(search(large, small, beaten))
    assert (table.title, table.columns[-1]) == ("Pareto front", "Trained Params")
    assert [(row[0], row[-1]) for row in table.rows] == [(1, 100), (0, 900)]


def test_setting_that_a_trial_lacks_is_blank() -> None:
    table = best_table(search(trial(1, 0.1, 0.2, 0.3, params={"init": "randn"}), ONE))
    assert [row[1:4] for row in table.rows] == [(None, 20, 0.01), ("randn", None, None)]


def test_second_look_has_both_numbers() -> None:
    record = search(ONE, TWO, confirmed=(again(0, 0.3, 0.4, None), again(1, None, None)))
    assert fresh_table(record).rows == (
        (0, "50.00 ± 10.00", "3", "35.00 ± 7.07", "2/3", "+15.00"),
        (1, "40.00 ± 26.46", "3", None, "0/2", None),
    )


def test_shares_stand_largest_first() -> None:
    record = search(ONE, importances={"lr": 0.25, "rank.max": 0.75})
    assert importance_table(record).rows == (("rank.max", "75.0 %"), ("lr", "25.0 %"))


def test_tables_without_rows_are_left_out() -> None:
    assert search_tables(search(trial(0))) == []
    assert [table.title for table in search_tables(search(ONE))] == ["Best trials"]


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (search(ONE), "1 trial: 1 finished, 0 failed, 0 pruned"),
        (
            search(ONE, TWO, trial(2, status="failed"), trial(3, status="pruned")),
            "4 trials: 2 finished, 1 failed, 1 pruned",
        ),
        (
            search(ONE, trial(1), trial(2, status="waiting"), n_trials=6),
            "6 trials: 1 finished, 0 failed, 0 pruned, 1 running or interrupted, 4 not begun",
        ),
        (search(ONE, TWO, n_trials=1), "2 trials: 2 finished, 0 failed, 0 pruned"),
    ],
    ids=["one", "ends", "under way", "more than asked for"],
)
def test_line_counts_trials_of_those_asked_for(record: SearchRecord, line: str) -> None:
    assert trials_line(record) == line


def test_line_says_what_the_second_look_found() -> None:
    record = search(ONE, TWO, confirmed=(again(0, 0.3), again(1, 0.38)))
    assert optimism_lines(record) == [
        "Trial 0 has 50.00 in the search and 30.00 on fresh seeds; +11.00 points of optimism on "
        "average over 2 trials; best on fresh seeds is trial 1."
    ]
    assert optimism_lines(search(ONE, confirmed=(again(0, 0.3),))) == [
        "Trial 0 has 50.00 in the search and 30.00 on fresh seeds; +20.00 points of optimism."
    ]
    assert optimism_lines(search(ONE)) == []


def test_line_of_a_front_names_no_best_trial() -> None:
    trials = (trial(0, 0.4, 0.5, 0.6, n_params=9), trial(1, 0.1, 0.2, 0.3, n_params=5))
    record = search(*trials, confirmed=(again(1, 0.3), again(0, 0.4)))
    assert optimism_lines(record) == ["+0.00 points of optimism on average over 2 trials."]


def test_section_tells_failures_and_prunings() -> None:
    failed = trial(1, status="failed", error="loss became nan | inf")
    pruned = [trial(n, status="pruned", pruned_epoch=1 + n % 2) for n in (2, 3, 4)]
    text = "\n".join(search_section(search(failed, *pruned), NO_RUNS, []))
    assert "4 trials: 0 finished, 1 failed, 3 pruned." in text
    assert "Pruned: 2 after epoch 1, 1 after epoch 2." in text
    assert r"loss became nan \| inf" in text
    assert "Best trials" not in text and "nan ±" not in text
    assert failure_table(search(failed)).rows == ((1, "loss became nan | inf"),)


def test_section_says_why_there_are_no_importances() -> None:
    parts = search_section(search(ONE, importances_note="fewer than two"), NO_RUNS, [])
    assert "No importances: fewer than two." in parts


@pytest.mark.usefixtures("unrendered")
def test_report_of_a_search_begins_with_it(sweep: Any, settings: Settings) -> None:
    sweep.finish("a", 0.6, settings())
    write_search(sweep.path, search(ONE, confirmed=(again(0, 0.3),), importances={"lr": 1.0}))
    found = read_sweep_folder(sweep.path)
    write_report(found, find(found), forms=Forms(figures=True))
    text = (sweep.path / "report.md").read_text(encoding="utf-8")
    assert text.index("The only cell") < text.index("## Search")
    assert text.index("## Search") < text.index("## All cells")
    for name in ("slices", "importances", "fresh"):
        assert f"](figures/search_{name}.png)" in text
        assert (sweep.path / "figures" / f"search_{name}.svg").exists()
    assert "search_front" not in text
    page = (sweep.path / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="section-1">Search</h2>' in page and "+20.00" in page


def test_report_of_a_search_without_a_finished_run(sweep: Any, settings: Settings) -> None:
    sweep.fail("a", settings(), "loss became nan")
    write_search(sweep.path, search(trial(0, status="failed", error="loss became nan")))
    found = read_sweep_folder(sweep.path)
    write_report(found, find(found))
    text = (sweep.path / "report.md").read_text(encoding="utf-8")
    assert "1 trial: 0 finished, 1 failed, 0 pruned" in text
    assert not (sweep.path / "figures").exists()


def test_damaged_search_leaves_the_runs_reported(
    sweep: Any, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.write("", "search.json", "{")
    found = read_sweep_folder(sweep.path)
    assert found.search is None and len(found.runs) == 1
    assert "the report has no section on the search" in caplog.text


def test_terminal_begins_with_answer_and_search(
    sweep: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep.finish("a", 0.6, settings())
    write_search(sweep.path, search(ONE, confirmed=(again(0, 0.3),)))
    stream = io.StringIO()
    monkeypatch.setattr(show, "make_console", lambda: Console(file=stream, width=200))
    show.show_report([sweep.path], forms=Forms(figures=False, page=False))
    printed = stream.getvalue()
    places = [printed.index(said) for said in ("The only cell", "Best trials", "+20.00")]
    places += [printed.index(said) for said in ("1 trial: 1 finished", "All cells")]
    assert places == sorted(places)
    assert str(Path("report.md")) in printed


@pytest.mark.usefixtures("unrendered")
def test_search_in_which_all_trials_collapsed_says_so(
    sweep: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    record = search(ONE, trial(1, 0.0, 0.0, 0.0))
    write_search(sweep.path, record)
    for one in record.trials:
        for seed, name in enumerate(one.folders):
            sweep.finish(name, 0.0, settings(seed=seed, rank__max=20 + one.number), collapsed=True)
    said = "All 2 finished trials collapsed at the end: each of their runs predicts one class only"
    for text in report_and_print(sweep, capsys):  # the terminal wraps its lines
        assert said in " ".join(text.split())
    sweep.finish(ONE.folders[0], 0.1, settings())
    assert not any("trials collapsed" in text for text in report_and_print(sweep, capsys))


def report_and_print(sweep: Any, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The text of report.md and what the terminal shows."""
    show.show_report([sweep.path], forms=Forms(figures=False, page=False))
    return (sweep.path / "report.md").read_text(encoding="utf-8"), capsys.readouterr().out


@pytest.mark.usefixtures("unrendered")
def test_search_of_another_command_is_not_reported(sweep: Any, settings: Settings) -> None:
    write_search(sweep.path, search(ONE))
    sweep.ask_for({name: settings() for name in ONE.folders}, "the search")
    assert read_sweep_folder(sweep.path).search is not None
    sweep.ask_for({"a": settings()}, "a grid")
    assert read_sweep_folder(sweep.path).search is None
