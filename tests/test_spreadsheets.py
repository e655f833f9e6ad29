"""What a spreadsheet would compute is text; numbers stay numbers."""

import pytest

from lora_sweep.spreadsheets import without_formula


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(A1)", "\t=1", "\r=1"])
def test_formula_gets_a_quote(text: str) -> None:
    assert without_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=b", "", "-0.5", "+1e5", "-inf", -0.5, None, True])
def test_all_else_stays(value: object) -> None:
    assert without_formula(value) is value
