"""Columns with one value stand in a line above the table, and no other column does."""

from lora_sweep.report.text.folding import common_values, fold, foldable
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import Table

COLUMNS = ("Init", "Rank Min", "dropout", "Seeds", "Selected", "Median")
TABLE = Table("t", COLUMNS, (
    ("a", 5, 0.1, "5", None, "1.00"),
    ("a", None, None, "5", None, "1.00"),
), settings=COLUMNS[:3], kept=("Rank Min", "Median"))  # fmt: skip


def test_blank_is_a_value_unless_the_setting_has_no_effect_there() -> None:
    """Fixed ranks have no `Rank Min`; a dropout of None is one."""
    assert common_values(TABLE) == {
        "Init": "a", "Rank Min": 5, "Seeds": "5", "Selected": None, "Median": "1.00"
    }  # fmt: skip


def test_first_and_kept_columns_stay() -> None:
    assert foldable(TABLE) == ["Seeds", "Selected"]
    assert foldable(Table("t", COLUMNS, TABLE.rows[:1])) == []


def test_line_says_the_values_and_no_blank() -> None:
    table, said = fold(TABLE, ["Seeds", "Selected"])
    assert table.columns == ("Init", "Rank Min", "dropout", "Median")
    assert table.rows == (("a", 5, 0.1, "1.00"), ("a", None, None, "1.00"))
    assert said.replace("\N{NO-BREAK SPACE}", " ") == "In all rows: Seeds 5."


def test_line_owns_up_to_rows_without_the_setting() -> None:
    _, said = fold(TABLE, ["Rank Min"])
    assert said.replace("\N{NO-BREAK SPACE}", " ") == (
        "In all rows, where it has an effect: Rank Min 5."
    )
    assert fold(TABLE, ["Selected"])[1] == fold(TABLE, [])[1] == ""


def test_markdown_has_line_and_table() -> None:
    line, blank, heads, *_ = to_markdown(TABLE).splitlines()
    assert (line, blank) == ("In all rows: Seeds 5.", "")
    assert "Seeds" not in heads and "Selected" not in heads and "Rank Min" in heads
