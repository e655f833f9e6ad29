"""The report's files, the terminal's tables, and the command."""

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from lora_sweep.commands.report import main
from lora_sweep.errors import LoraSweepError
from lora_sweep.report import write
from lora_sweep.report.pages.cells import cells_table
from lora_sweep.report.pages.terminal import print_tables
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.summarise import summarise_runs
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.report.write import Forms, find, write_report

Settings = Callable[..., dict[str, Any]]


def _fill(sweep: Any, settings: Settings) -> Any:
    """A sweep of 3 cells: 3 runs finished (one collapsed), 1 failed, 1 missing."""
    sweep.finish("a", 0.6, settings(seed=0))
    sweep.finish("b", 0.0, settings(seed=1), collapsed=True)
    sweep.fail("c", settings(seed=2), "ValueError: a|b `c`\nsecond line")
    sweep.finish("d", 0.7, settings(init="fixed"))
    sweep.start("e", settings(init="randn"))
    return sweep


@pytest.fixture
def filled(sweep: Any, settings: Settings) -> Any:
    return _fill(sweep, settings)


@pytest.fixture(scope="module")
def report(shared_sweep: Any, settings: Settings) -> Path:
    """Such a sweep's report.md, which no test changes."""
    return reported(_fill(shared_sweep, settings).path)


def reported(folder: Path) -> Path:
    """The text of the report, without pictures and page."""
    sweep = read_sweep_folder(folder)
    write_report(sweep, find(sweep), forms=Forms(figures=False, page=False))
    return folder / "report.md"


def _printed(sweep: Any, width: int, is_terminal: bool = True) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=is_terminal, no_color=True)
    print_tables([cells_table(summarise_runs(collect_runs(sweep.path)))], console)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


def test_report_counts_runs_and_cells(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert text.startswith("# Sweep demo\n")
    assert "5 runs in 3 cells: 3 finished, 1 failed, 1 missing, 1 collapsed at the end." in text
    headings = re.findall("^## (.*)$", text, flags=re.MULTILINE)
    assert headings == [
        "All cells",
        "Runs without a result",
        "Which init is better?",
        "Where the numbers come from",
    ]


def test_report_lists_failed_runs_escaped(report: Path) -> None:
    text = re.sub(" +", " ", report.read_text(encoding="utf-8"))
    assert r"| c | failed | ValueError: a\|b \`c\` |" in text
    assert "second line" not in text


def test_report_names_unreadable_runs(filled: Any) -> None:
    filled.write("f", "result.json", "{")
    text = re.sub(" +", " ", reported(filled.path).read_text(encoding="utf-8"))
    assert "1 missing, 1 unreadable, 1 collapsed at the end" in text
    assert "| f | unreadable |" in text


def test_results_csv_has_a_row_a_cell(report: Path) -> None:
    table = pd.read_csv(report.with_name("results.csv"))
    assert table["init"].tolist() == ["uniform", "randn", "fixed"]
    assert table["n_seeds"].tolist() == [2, 0, 1]
    assert table["median"].tolist()[0] == 0.3
    assert table["folders"].tolist()[0] == "a; b"


def test_report_is_written_again_as_runs_finish(filled: Any, settings: Settings) -> None:
    before = reported(filled.path).read_text(encoding="utf-8")
    filled.finish("e", 0.8, settings(init="randn"))
    after = reported(filled.path).read_text(encoding="utf-8")
    assert "1 missing" in before
    assert "4 finished, 1 failed, 0 missing" in after
    files = {path.name for path in filled.path.iterdir() if path.is_file()}
    assert files == {"report.md", "results.csv", "runs.csv"}
    assert not list(filled.path.glob(".*"))


def test_report_of_a_started_sweep_has_no_numbers(sweep: Any, settings: Settings) -> None:
    sweep.ask_for({"a": settings(), "b": settings(seed=1)})
    text = reported(sweep.path).read_text(encoding="utf-8")
    assert "2 runs in 1 cell: 0 finished, 0 failed, 2 missing" in text
    assert "0 collapsed" in text and "0/2" in text
    assert "nan" not in text.lower()


def test_report_of_unreadable_runs_alone_has_no_table(sweep: Any) -> None:
    sweep.write("a", "result.json", "{")
    text = reported(sweep.path).read_text(encoding="utf-8")
    assert "1 run in 0 cells" in text
    assert "Median ± Std |" not in text


@pytest.mark.parametrize(
    ("selected", "said", "unsaid"),
    [
        pytest.param((None, None), "so the number is optimistic", "selection split.", id="best"),
        pytest.param((0.5, 0.5), "best on the selection split", "optimistic", id="selected"),
        pytest.param((0.5, None), "which is optimistic", "so the number", id="both"),
    ],
)
def test_report_says_how_epochs_were_picked(
    sweep: Any,
    settings: Settings,
    selected: tuple[float | None, float | None],
    said: str,
    unsaid: str,
) -> None:
    for seed, metric in enumerate(selected):
        sweep.finish(f"run {seed}", 0.6, settings(seed=seed), selected_metric=metric)
    text = reported(sweep.path).read_text(encoding="utf-8")
    assert said in text
    assert unsaid not in text


def test_unwritable_folder_is_a_user_error(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(write, "write_text", refuse)
    with pytest.raises(LoraSweepError, match=r"demo can't be written to: .*Permission denied"):
        reported(filled.path)


@pytest.mark.parametrize("width", [30, 80, 200])
def test_terminal_cuts_no_number(filled: Any, width: int) -> None:
    printed = _printed(filled, width)
    for text in ("30.00 ± 42.43", "20.00 ± 42.43", "0.001", "1 failed", "1 collapsed", "70.00"):
        assert text in printed
    assert "…" not in printed


def test_results_keep_their_columns(sweep: Any, settings: Settings) -> None:
    """Two cells with equal results: what was found keeps its columns all the same."""
    for lr in (0.01, 0.02):
        for seed in (0, 1):
            sweep.finish(f"{lr}-{seed}", 0.0, settings(lr=lr, seed=seed), collapsed=seed == 0)
    printed = _printed(sweep, 80)
    title, *rest = printed.strip().splitlines()
    start = next(i for i, line in enumerate(rest) if line.startswith("┏"))
    above, table = " ".join(rest[:start]), rest[start:]
    assert title == "All cells"
    assert above.startswith("In all rows: ") and "Rank Min 5" in above and "Seeds 2" in above
    assert not {"Median", "Notes"} & set(above.split())
    assert max(map(len, table)) <= 80
    cells = [[cell.strip() for cell in row.split("│")] for row in table if "0.02" in row]
    assert cells[0][-4:-1] == ["0.00 ± 0.00", "-10.00 ± 0.00", "1 collapsed at the end"]
    assert "Rank Min 5" not in _printed(sweep, 200)


def test_many_settings_share_one_column(sweep: Any, settings: Settings) -> None:
    for epochs in (3, 5):
        for schedule in ("constant", "grow"):
            own = settings(
                training__epochs=epochs,
                budget__schedule=schedule,
                model__dropout=0.1 * epochs,
                model__adapted=["query"] * epochs,
            )
            sweep.finish(f"{epochs}{schedule}", 0.5, own)
    lines = _printed(sweep, 80).splitlines()
    assert max(map(len, lines)) <= 80
    settings_shown = "\n".join(line.split("│")[1] for line in lines if "│" in line)
    for said in ("budget.schedule grow", "training.epochs 5", "model.dropout 0.5"):
        assert said in settings_shown
    assert sum("50.00" in line for line in lines) == 4


def test_no_word_is_broken_at_80_columns(
    sweep: Any,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two sweeps in a report, too, whose cells have the name of their sweep."""
    other = type(sweep)(sweep.path.parent / "another_sweep")
    for one in (sweep, other):
        for seed in range(3):
            one.finish(f"a{seed}", 0.1 * seed, settings(seed=seed))
            one.finish(f"f{seed}", 0.1, settings(init="fixed", seed=seed))
    folders = [str(one.path) for one in (sweep, other)]
    options = ["--no-figures", "--no-html"]
    monkeypatch.delenv("COLUMNS", raising=False)
    assert main([*folders, *options]) == 0
    whole = capsys.readouterr().out
    assert max(map(len, whole.splitlines())) > 80  # a pipe has no width of its own
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*folders, *options]) == 0
    narrow = capsys.readouterr().out
    sentences = [line for line in narrow.splitlines() if not line.startswith("report: ")]
    assert max(map(len, sentences)) <= 80
    line = _words("In all rows, where it has an effect: Settings")  # of tables made narrower
    assert _words(narrow) - line <= _words(whole)


def _words(text: str) -> set[str]:
    """What stands between spaces and borders, without commas."""
    return {word.strip(",") for word in re.sub("[^\\w .,±%()/=?:;+-]", " ", text).split()}


ORDER = ("cell: ", "All cells", "│ Uniform", "Which init is better?", "4 finished")


def test_terminal_and_report_say_the_same_in_one_order(
    filled: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.finish("e", 0.8, settings(init="randn"))
    assert main([str(filled.path), "--no-figures", "--no-html"]) == 0
    printed = capsys.readouterr().out
    places = [printed.index(said) for said in ORDER]
    assert places == sorted(places)
    text = (filled.path / "report.md").read_text(encoding="utf-8")
    places = [text.index(said.replace("│", "|")) for said in ORDER[:-1]]
    assert places == sorted(places)
    for table in ("All cells", "Which init is better?"):  # what explains a table is beside it
        after = text[text.index(f"## {table}") :].split("\n## ")[0]
        assert "How to read this." in after


def test_verdicts_fit_80_columns(
    sweep: Any,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two inits against two baselines, one of which fails more often: nothing is cut."""
    for seed in range(12):
        jitter = 0.001 * (seed % 3)
        for rank in (20, 25):
            own = settings(init="fixed", rank__average=rank, seed=seed)
            sweep.finish(f"f{rank}-{seed}", 0.5, own)
        sweep.finish(f"u{seed}", 0.3 + jitter, settings(seed=seed), collapsed=seed > 2)
        sweep.finish(f"r{seed}", 0.6 + jitter, settings(init="left_skewed", seed=seed))
    monkeypatch.setenv("COLUMNS", "80")
    assert main([str(sweep.path), "--no-figures", "--no-html"]) == 0
    printed = capsys.readouterr().out
    shown = printed[printed.index("Which init is better?") : printed.index("48 runs")]
    assert max(map(len, shown.splitlines())) <= 80
    assert " ".join(re.sub("[^\\w -]", " ", shown).split()).count("fails") == 2
    # differences of the seeds that trained: -20, -19.9, -19.8, and 10, 10.1, 10.2 four times
    assert shown.count("-19.90") == shown.count("+10.10") == 2


@pytest.mark.usefixtures("unrendered")
def test_pictures_stand_where_they_are_spoken_of(filled: Any, settings: Settings) -> None:
    filled.finish("e", 0.8, settings(init="randn"))
    sweep = read_sweep_folder(filled.path)
    write_report(sweep, find(sweep), forms=Forms(page=False))
    text = (filled.path / "report.md").read_text(encoding="utf-8")
    said = ("cell: ", "figures/comparison", "## All cells", "figures/medians")
    said += ("## Which init", "figures/uniform_runs", "## Where the numbers")
    places = [text.index(one) for one in said]
    assert places == sorted(places)


@pytest.mark.usefixtures("unrendered")
def test_command_prints_tables_and_report(filled: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(filled.path)]) == 0
    printed = capsys.readouterr().out
    assert "30.00 ± 42.43" in printed
    for file in ("report.md", "report.html"):
        assert f"report: {filled.path / file}\n" in printed
    pictures = {path.name for path in (filled.path / "figures").iterdir()}
    assert {"uniform_runs.svg", "uniform_runs.png", "comparison.svg"} <= pictures
    text = (filled.path / "report.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"figures/(\w+\.(?:svg|png))", text))
    assert linked == pictures


def test_command_says_errors_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "absent")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ") and lines[0].endswith("but got nothing there")


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        pytest.param("report.write, lora_sweep.report.pages.terminal", "torch", id="report"),
        pytest.param("commands.report", "pandas", id="command line"),
    ],
)
def test_import_loads_nothing_heavy(modules: str, heavy: str) -> None:
    program = f"import sys; import lora_sweep.{modules}; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
