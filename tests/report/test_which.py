"""Each setting in turn has two values: every output says which of them it speaks of."""

import html
import io
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from lora_sweep.config.run import RunConfig, run_settings
from lora_sweep.report.compare.comparison import compare_inits
from lora_sweep.report.figures.write import _draw_sweep
from lora_sweep.report.pages.answer import answer_lines
from lora_sweep.report.pages.cells import cells_table, to_csv_table
from lora_sweep.report.pages.html import page_text
from lora_sweep.report.pages.markdown import report_text
from lora_sweep.report.pages.terminal import print_lines, print_tables
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.planned import planned_rows
from lora_sweep.report.table.sweep import Sweep, read_sweep_folder
from lora_sweep.report.write import find
from lora_sweep.vocabulary import FIXED, ONLY_LEARNT, SPELLED, UNSAID

_MORE = {"data.metric": "accuracy", "data.positive": "1", "data.content": "a" * 16}
_OF_RAMPS = {"budget.hold_epochs": 1.0, "budget.move_epochs": 1.0, "training.best_from": "first"}
_OF_ABLATIONS = {**UNSAID, "model.factors_seed": 42}
_OF_NONE = ("model.adapter_content", "training.max_steps")
_WORDS = {"lr": "LR ", "allocation.mode": "Uniform, ", "data.task": "", "model.content": ""}
_WORDS |= {"data.content": "", "model.adapter_content": "model.adapter="}
_IN_PAIRS = ("rank.average", "rank.max")
"""Of these baselines have several too."""
_SKIPPED = {*SPELLED, "init", "seed", "adapter.kind"}
"""The kind of adapter has a file of its own, `test_kinds.py`."""
_ACT_ON_FIXED_RANKS = ("data.", "model.", "training.", "learning_rate.", "precision")


@pytest.fixture(scope="module")
def all_settings(run_config: RunConfig) -> dict[str, Any]:
    """Every setting that a run of ours can have, with a value."""
    known = run_settings(run_config, 0, {"model.content": "b" * 16})
    return known | _MORE | _OF_RAMPS | _OF_ABLATIONS | dict.fromkeys(_OF_NONE)


_NAMES = re.findall(
    r"\S+",
    """
    lr precision rank.min rank.max rank.average alpha.min alpha.max alpha.schedule budget.schedule
    budget.start_average budget.end_average budget.hold_epochs budget.move_epochs allocation.mode
    allocation.tau learning_rate.adapter learning_rate.head learning_rate.schedule
    learning_rate.warmup_fraction model.pooling model.dropout model.adapted model.content
    model.adapter_content data.name data.task data.max_length data.selection_fraction data.seed
    data.n_train data.n_dev data.n_out_of_domain data.metric data.positive data.content
    training.epochs training.epochs_discrete training.batch_size training.evaluation_batch_size
    training.weight_decay training.max_gradient_norm training.max_steps training.best_from
    model.lora_alpha model.adapter_dropout model.factors model.factors_seed
    """,
)


def _other(value: Any) -> Any:
    """Another value of the same kind."""
    if value is None:
        return 3
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return value[:1]
    return f"x{value}" if isinstance(value, str) else value + 1


def _fill(sweep: Any, base: dict[str, Any], name: str, values: list[Any]) -> None:
    """An init and a baseline at each value, three seeds each."""
    for place, value in enumerate(values):
        for init, level in (("uniform", 0.5), (FIXED, 0.4)):
            own = base | {name: value, "init": init}
            if init == FIXED:
                own = {n: None if n.startswith(ONLY_LEARNT) else v for n, v in own.items()}
            for seed in range(3):
                metric = level + 0.1 * place + 0.01 * seed * seed * (1 + (init == FIXED))
                sweep.finish(f"{init}-{place}-{seed}", metric, own | {"seed": seed})


def _shown(found: Sweep) -> tuple[str, str, str, pd.DataFrame]:
    """Terminal, report.md, report.html and results.csv."""
    stream = io.StringIO()
    console = Console(file=stream, width=400, no_color=True)
    findings = find(found)
    print_tables([cells_table(found.summary)], console)
    print_lines(answer_lines(found.runs, findings.comparisons), console)
    report = report_text(found, findings)
    page = html.unescape(page_text(found, report))
    return stream.getvalue(), report, page, to_csv_table(found.summary)


def _sentences(text: str) -> Iterator[str]:
    """Best cells, verdicts and headings of comparisons, without their numbers."""
    for line in text.splitlines():
        if re.search("est cell: | is better than |## Which|: \\*\\*better", line):
            yield re.split(r": matthews_correlation|: by |\*\*", line)[0]


def test_no_setting_is_forgotten(all_settings: dict[str, Any]) -> None:
    assert set(all_settings) - _SKIPPED == set(_NAMES)


@pytest.mark.parametrize("name", _NAMES)
def test_best_cells_and_verdicts_say_which(
    name: str, all_settings: dict[str, Any], sweep: Any
) -> None:
    values = [all_settings[name], _other(all_settings[name])]
    _fill(sweep, all_settings, name, values)
    runs = collect_runs(sweep.path)
    lines = answer_lines(runs, compare_inits(runs))
    said = list(_sentences("\n".join(lines)))
    assert len(said) == len(set(said)), said
    acts = name.startswith(_ACT_ON_FIXED_RANKS) and not name.startswith(ONLY_LEARNT)
    best = [line for line in said if "est cell:" in line]
    # a group at each value, or the better of two cells
    for value, line in zip(values if acts else values[1:], best, strict=True):
        assert f"{_WORDS.get(name, f'{name}=')}{_typed(value)}" in line
    verdicts = [line for line in said if " is better than " in line]
    if name == "allocation.mode":  # two inits against one baseline, in one sentence
        (both,) = [line for line in lines if line.startswith("Against fixed, rank 20")]
        assert all(f"Uniform, {value} (+" in both for value in values)
    else:
        assert len(verdicts) == (2 if acts or name in _IN_PAIRS else 1)


@pytest.mark.parametrize("name", ["training.batch_size", "rank.max", "data.content"])
def test_every_output_says_which(name: str, all_settings: dict[str, Any], sweep: Any) -> None:
    values = [all_settings[name], _other(all_settings[name])]
    _fill(sweep, all_settings, name, values)
    terminal, report, page, table = _shown(read_sweep_folder(sweep.path))
    for text in (terminal, report):
        said = list(_sentences(text))
        assert len(said) == len(set(said)) and not any("(2)" in line for line in said)
    column = "data.task" if name == "data.content" else name  # in words
    assert table[column].nunique() == 2
    heads = [line for line in report.splitlines() if line.startswith("## Which init")]
    expected = {"rank.max": [""]}.get(name, [_typed(value)[:6] for value in values])
    assert all(value in head for value, head in zip(expected, heads, strict=True))
    assert all(head.removeprefix("## ") in page for head in heads)


def _typed(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(value)
    if isinstance(value, str) and len(value) > 15:
        return value[:6]  # of a digest whose place is not known
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("name", ["training.batch_size", "precision", "rank.max", "rank.average"])
def test_no_baseline_is_lost(name: str, all_settings: dict[str, Any], sweep: Any) -> None:
    _fill(sweep, all_settings, name, [all_settings[name], _other(all_settings[name])])
    rows, pairs = planned_rows(read_sweep_folder(sweep.path).runs)
    fixed = [own for own in rows.values() if (own["init"] == FIXED).all()]
    assert [len(own) for own in fixed] == [3, 3]
    assert len(rows) == (3 if name.startswith("rank.") else 4)
    assert len(pairs) == 2


def test_pictures_say_which(all_settings: dict[str, Any], sweep: Any) -> None:
    name = "training.batch_size"
    _fill(sweep, all_settings, name, [16, 32])
    drawn = [
        (picture.title, figure) for picture, figure in _draw_sweep(read_sweep_folder(sweep.path))
    ]
    assert len(drawn) == len({title for title, _ in drawn})
    groups = [f"{name}={size}" for size in (16, 32)]
    for title, figure in drawn:
        (own,) = [group for group in groups if group in title]
        assert own in figure.get_suptitle()
