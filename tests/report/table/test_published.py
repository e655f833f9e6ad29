"""A published table beside ours: its numbers as they stand, and only what summaries allow."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lora_sweep.commands.report import main
from lora_sweep.errors import LoraSweepError
from lora_sweep.report.table.published import published_section, published_table, read_published

HEADER = "init,task,rank_min,rank_max,alpha_min,alpha_max,lr,rank_average,median,std\n"
ROWS = [
    "fixed,cola,,20,,,,20,68.08,1.21",
    "randn,cola,5,25,0.5,3,0.005,20,66.94,1.2",
    "randn,cola,5,25,0.5,3,0.001,20,65.92,0.8",
    "quadratic,cola,5,25,0.5,3,0.02,20,68.22,0.5",
    "quadratic,cola,5,25,0.5,3,0.005,20,66.94,1.2",
]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published.csv"
    path.write_text(HEADER + "\n".join(ROWS) + "\n", encoding="utf-8")
    return path


def test_table_is_in_our_order_and_format(published: Path) -> None:
    table = published_table(read_published(published))
    assert [row[0] for row in table.rows] == ["Randn", "Randn", "Quadratic", "Quadratic", "Fixed"]
    columns = ("Task", "Rank Min", "Rank Max", "Alpha Min", "Alpha Max", "LR", "Rank Avg")
    assert table.columns == ("Init", *columns, "Median ± Std")
    assert table.rows[2][1:] == ("cola", 5, 25, 0.5, 3, 0.02, 20, "68.22 ± 0.50")
    assert table.rows[4][1:] == ("cola", None, 20, None, None, None, 20, "68.08 ± 1.21")


def test_summaries_give_no_verdict(published: Path) -> None:
    text = "\n".join(published_section(published))
    assert "no verdict is given" in text
    assert not re.search(r"\*\*(better|worse|not resolved)\*\*", text)
    # t of 8 degrees of freedom, 0.5356 the std of a median of five standard normal values:
    # 2.306 * 0.5356 sqrt(0.5^2 + 1.21^2)
    assert "Quadratic, LR 0.02 against fixed, rank 20: +0.14 points" in text
    assert "± 1.62 open" in text
    assert "The same numbers stand in several cells (LR 0.005, 66.94 ± 1.20): Randn, Quadr" in text


def test_best_of_equal_cells_stands_out_by_chance(tmp_path: Path) -> None:
    # Two normal cells: the larger stands 1 / sqrt(pi) stds over their mean; a median of five
    # normal values has a std of 0.5356.
    path = tmp_path / "two.csv"
    path.write_text("init,lr,median,std\na,0.1,50,1\nb,0.1,60,1\n", encoding="utf-8")
    text = "\n".join(published_section(path))
    found = re.search(r"stands 5\.00 points above their mean.*would stand ([\d.]+) above", text)
    assert found is not None
    assert float(found[1]) == pytest.approx(0.5356 / 3.14159**0.5, abs=0.02)


def test_differences_of_medians_lie_inside_what_is_left_open(tmp_path: Path) -> None:
    rng, n_inside = np.random.default_rng(0), 0
    runs = rng.normal(0.0, [[1.0], [2.0]], (500, 2, 5))
    path = tmp_path / "two.csv"
    for medians, stds in zip(np.median(runs, axis=-1), runs.std(axis=-1, ddof=1), strict=True):
        rows = zip(("fixed", "randn"), medians, stds, strict=True)
        lines = [f"{init},0.1,{median},{std}\n" for init, median, std in rows]
        path.write_text("init,lr,median,std\n" + "".join(lines), encoding="utf-8")
        (found,) = re.findall(
            r": ([-+.\d]+) points; .*± ([.\d]+) open", published_section(path)[-1]
        )
        n_inside += abs(float(found[0])) <= float(found[1])
    # 3 standard errors below 95 %; an interval for means would hold 91 %
    assert n_inside / 500 >= 0.95 - 3 * (0.95 * 0.05 / 500) ** 0.5


def test_cells_without_a_std_say_nothing_of_chance(tmp_path: Path) -> None:
    path = tmp_path / "blank.csv"
    rows = "fixed,0.1,50,1\nrandn,0.1,60,\nuniform,0.1,55,1\nuniform,0.2,53,1\n"
    path.write_text(f"init,lr,median,std\n{rows}", encoding="utf-8")
    said = published_section(path)[-1]
    assert "nan" not in said and "Randn" not in said
    assert "The best of 2 learnt cells with a std stands 1.00 points above their mean" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "can't be read"),
        ("init,lr\nrandn,1\n", "must have rows and the columns init, lr, median, std"),
        ("init,lr,median,std\n", "but got 0 rows"),
        ("init,lr,median,std\nrandn,1,x,2\n", "median must be numbers"),
    ],
    ids=["empty", "columns", "rows", "text"],
)
def test_wrong_files_are_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LoraSweepError, match=said):
        read_published(path)


def test_command_prints_published_tables_alone(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--published", str(published)]) == 0
    assert "| Randn     | cola   |          5 |" in capsys.readouterr().out


def test_published_tables_stand_in_the_report(
    published: Path, sweep: Any, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep.finish("a", 0.5, settings())
    options = ["--no-figures", "--no-html", "--published", str(published)]
    assert main([str(sweep.path), *options]) == 0
    text = (sweep.path / "report.md").read_text(encoding="utf-8")
    assert "## Published, for comparison" in text
    assert "68.22 ± 0.50" in text
    assert not (sweep.path / "figures").exists()
    assert not (sweep.path / "report.html").exists()


def test_nothing_to_report_is_a_user_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "--published FILE must be given" in capsys.readouterr().err
