"""A whole report of runs whose names are Chinese, Japanese, Korean and emoji."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.report.write import Forms, find, write_report
from lora_sweep.store.epochs import EpochRecord

pytestmark = pytest.mark.slow
HAN, KANA, HANGUL, EMOJI = "中文", "かな", "한글", "🦄"


def test_report_in_any_script_warns_of_nothing(
    sweep: Any,
    settings: Callable[..., dict[str, Any]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Warnings are errors here, and a glyph that is missing is one of matplotlib's."""
    own = type(sweep)(tmp_path / "outputs" / f"{EMOJI} {KANA}")
    epochs = [EpochRecord(1, 8, 0.5, {"f1": 0.6}, 0.5, 9.0, 0.0, 9, [3.0], [3])]
    known: dict[str, Any] = {
        "metric": "f1",
        "label_names": [KANA, f"{HANGUL}{EMOJI}"],
        "matrices": [f"{HAN}.query"],
        "epochs": epochs,
        "best_epoch": 1,
    }
    for init in ("randn", "fixed"):
        told = settings(init=init, data__task=HAN, data__name=HAN)
        own.finish(f"{HAN}-{KANA}-{init}-seed0", 0.6, told, **known)
    read = read_sweep_folder(own.path)
    write_report(read, find(read), forms=Forms(figures=True, page=True))
    page = (own.path / "report.html").read_text(encoding="utf-8")
    report = (own.path / "report.md").read_text(encoding="utf-8")
    assert all(f"f1 of label {HANGUL}{EMOJI}" in text for text in (page, report))
    assert all(HAN in text for text in (page, report))
    assert sorted(path.suffix for path in (own.path / "figures").iterdir())[-1] == ".svg"
    told_of = [record.getMessage() for record in caplog.records]
    assert all(message.startswith("no font here has ") for message in told_of)
    assert len(told_of) == len(set(told_of))
