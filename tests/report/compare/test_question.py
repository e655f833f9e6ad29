"""What a sweep was run for is what a later report asks, unless it is told otherwise."""

import re
from typing import Any

import pytest

from lora_sweep.commands.report import main
from lora_sweep.errors import RecordError, SettingError
from lora_sweep.report.compare.question import (
    STANDARD_QUESTION,
    Question,
    read_question,
    write_question,
)

ASKED = Question("mean", 0.25, 1.0)


def test_question_is_kept_with_the_sweep(sweep: Any) -> None:
    assert read_question(sweep.path) == STANDARD_QUESTION
    write_question(sweep.path, ASKED)
    assert read_question(sweep.path) == ASKED


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": "best"}', '{"other": 1}'])
def test_damaged_question_is_named(sweep: Any, text: str) -> None:
    (sweep.path / "question.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=r"question\.json can't be read"):
        read_question(sweep.path)


def test_difference_to_find_lies_outside_the_region() -> None:
    with pytest.raises(SettingError, match=re.escape("more than equivalence_points (3)")):
        Question(equivalence_points=3.0)


@pytest.mark.parametrize(
    ("flags", "region", "asked"),
    [
        ([], "more than 0.25 points", "whatever the setting"),
        (["--question", "tuned"], "more than 0.25 points", "once its settings are tuned"),
        (["--equivalence-points", "0.75"], "more than 0.75 points", "whatever the setting"),
    ],
)
def test_report_asks_what_the_sweep_was_run_for(
    sweep: Any, settings: Any, flags: list[str], region: str, asked: str
) -> None:
    for seed in range(2):
        sweep.finish(f"base-{seed}", 0.5, settings(init="fixed", seed=seed))
        for lr in (0.1, 0.2):
            sweep.finish(f"own-{lr}-{seed}", 0.6 + 0.01 * seed, settings(lr=lr, seed=seed))
    write_question(sweep.path, ASKED)
    assert main([str(sweep.path), "--no-figures", "--no-html", *flags]) == 0
    text = " ".join((sweep.path / "report.md").read_text(encoding="utf-8").split())
    assert region in text and asked in text
