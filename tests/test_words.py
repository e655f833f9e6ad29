"""Numbers with their nouns, and lists."""

import pytest

from lora_sweep.words import counted, listed


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (10_000, "10000 runs"), (0.5, "0.5 runs")],
)
def test_noun_agrees_with_its_number(n: float, said: str) -> None:
    assert counted(n, "run") == said


def test_irregular_plural_is_given() -> None:
    assert [counted(n, "matrix", "matrices") for n in (1, 2)] == ["1 matrix", "2 matrices"]


@pytest.mark.parametrize(
    ("words", "said"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed(words: list[str], said: str) -> None:
    assert listed(words) == said
