"""Numbers with their nouns, and lists."""

import shlex
import shutil
import subprocess

import pytest

from lora_sweep.words import counted, listed, number, pasteable


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (10_000, "10000 runs"), (0.5, "0.5 runs")],
)
def test_noun_agrees_with_its_number(n: float, said: str) -> None:
    assert counted(n, "run") == said


def test_verb_agrees_with_its_number() -> None:
    assert [counted(n, "run", verb=("goes", "go")) for n in (0, 1, 2)] == [
        *("0 runs go", "1 run goes", "2 runs go"),
    ]


def test_irregular_plural_is_given() -> None:
    assert [counted(n, "matrix", "matrices") for n in (1, 2)] == ["1 matrix", "2 matrices"]


@pytest.mark.parametrize(
    ("words", "said"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed(words: list[str], said: str) -> None:
    assert listed(words) == said


@pytest.mark.parametrize(
    ("n", "said"),
    [(0.1234, "0.123"), (12.345, "12.3"), (99.94, "99.9"), (999.7, "1000"), (3437.2, "3437")],
)
def test_large_number_has_no_exponent(n: float, said: str) -> None:
    """`.3g` alone would say 3.44e+03."""
    assert number(n) == said


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    "word",
    ["a\u202ebash", "two\nlines", "it's \u2066", "\u00a0", "\udcff", "a\x1b[2Jb", "`\u200b$x`"],
)
def test_printed_command_hides_nothing_and_is_read_the_same(word: str) -> None:
    shown = pasteable(shlex.join(["printf", r"%s\0", word, "plain"]))
    assert shown.isprintable()
    read = subprocess.run(["bash", "-c", shown], capture_output=True, check=True).stdout
    assert read == word.encode(errors="surrogateescape") + b"\0plain\0"


def test_command_without_such_characters_stays() -> None:
    command = shlex.join(["python", "-m", "lora_sweep", "data.dev='ä b.tsv'", "x=\u05d0"])
    assert pasteable(command) == command
