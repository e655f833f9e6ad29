"""The report that ends a sweep: what is written and named, and which settings are refused."""

import math
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from lora_sweep.commands.report import main
from lora_sweep.errors import ReportError, SettingError, SweepFailedError
from lora_sweep.launch import command_errors
from lora_sweep.launch.callbacks import WriteReport
from lora_sweep.launch.last_words import run_lines
from lora_sweep.report import show
from lora_sweep.report.figures import write as figures


def _config(sweep: Any) -> DictConfig:
    overrides = {"task": ["seed=0,1"], "hydra": ["hydra.mode=MULTIRUN"]}
    return OmegaConf.create({"hydra": {"sweep": {"dir": str(sweep.path)}, "overrides": overrides}})


@pytest.fixture
def noted() -> Iterator[list[Exception]]:
    """The errors that the command will end in."""
    command_errors.forget()
    yield command_errors._NOTED
    command_errors.forget()


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({}, set()),
        ({"figures": False}, {"figures"}),
        ({"page": False}, {"report.html"}),
        ({"figures": False, "page": False}, {"figures", "report.html"}),
    ],
    ids=["all", "no figures", "no page", "neither"],
)
@pytest.mark.usefixtures("unrendered")
def test_report_names_the_files_that_it_wrote(
    options: dict[str, bool],
    left_out: set[str],
    sweep: Any,
    settings: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep.finish("a", 0.6, settings())
    sweep.start("a", settings())
    WriteReport(**options).on_multirun_end(_config(sweep))
    written = {path.name for path in sweep.path.iterdir()} - {"a"}
    every = {"report.md", "report.html", "results.csv", "runs.csv", "figures", "question.json"}
    assert written == every - left_out
    lines = capsys.readouterr().out.splitlines()
    named = [line.removeprefix("report: ") for line in lines if line.startswith("report: ")]
    assert {Path(name).name for name in named} == {"report.md", "report.html"} - left_out
    linked = "figures/" in (sweep.path / "report.md").read_text(encoding="utf-8")
    assert linked == ("figures" not in left_out)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        *(("figures", value, "true or false") for value in ("no", 0, None)),
        *(("page", value, "true or false") for value in ("no", 1, [False])),
        *(("equivalence_points", value, "at least 0 and finite") for value in (-0.5, "x", True)),
        *(
            ("difference_points", value, "finite and more than equivalence_points (0.5)")
            for value in (0.5, "x", math.inf)
        ),
        ("question", "best", "tuned or mean"),
    ],
)
def test_wrong_setting_is_refused(setting: str, value: Any, rule: str) -> None:
    with pytest.raises(SettingError) as refused:
        WriteReport(**{setting: value})
    said = f"hydra.callbacks.report.{setting} must be {rule}, but got {value}"
    assert str(refused.value) == said


@pytest.mark.parametrize("error", [OverflowError("int too big"), MemoryError(), ImportError("x")])
def test_report_that_fails_is_the_commands_error(
    error: Exception,
    sweep: Any,
    settings: Any,
    noted: list[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise error

    sweep.start("a", settings())
    monkeypatch.setattr(show, "show_report", broken)
    WriteReport().on_multirun_end(_config(sweep))
    (said,) = noted
    reason = f"{type(error).__name__}: {error}"
    assert isinstance(said, ReportError) and said.__cause__ is error
    assert str(said) == f"the runs are kept, but the report failed: {reason}"


def test_tables_come_where_nothing_can_be_drawn(
    sweep: Any,
    settings: Any,
    noted: list[Exception],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*args: Any) -> None:
        raise ImportError("no room for matplotlib")

    sweep.finish("a", 0.6, settings())
    sweep.start("a", settings())
    monkeypatch.setattr(figures, "write_figures", broken)
    WriteReport().on_multirun_end(_config(sweep))
    assert "60.00" in capsys.readouterr().out
    assert "60.00" in (sweep.path / "report.md").read_text(encoding="utf-8")
    written = {path.name for path in sweep.path.iterdir() if path.is_file()}
    assert written == {"report.md", "report.html", "results.csv", "runs.csv", "question.json"}
    (said,) = noted
    assert "can't be drawn: ImportError: no room for matplotlib" in str(said)


def test_tables_need_no_library_that_draws() -> None:
    script = "import lora_sweep.report.show, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_report_that_fails_after_failed_runs_is_said_too(
    sweep: Any,
    settings: Any,
    noted: list[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The command ends in the runs' error, which says nothing of the report."""
    monkeypatch.setattr(show, "show_report", lambda *args, **kwargs: 1 / 0)
    sweep.start("a", settings())
    try:
        raise SweepFailedError("1 of 2 jobs failed")
    except SweepFailedError:
        WriteReport().on_multirun_end(_config(sweep))
    assert "the report failed: ZeroDivisionError" in caplog.text
    assert len(noted) == 1


@pytest.mark.usefixtures("unrendered")
def test_table_is_of_the_command_that_ends(
    sweep: Any, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single run before, a try that was given up, and a command that began meanwhile."""
    asked = {"a": settings(init="fixed"), "b": settings(init="fixed", seed=1)}
    sweep.finish("single", 0.9, settings(init="fixed", seed=2))
    sweep.ask_for({"try": settings(data__n_train=64)}, "a try")
    sweep.start("try", settings(data__n_train=64))
    sweep.ask_for(asked, "python -m lora_sweep --multirun seed=0,1")
    sweep.ask_for({"later": settings(seed=5)}, "another command")
    for name, own in asked.items():
        sweep.finish(name, 0.5, own)
        sweep.start(name, own)
    WriteReport(figures=False, page=False).on_multirun_end(_config(sweep))
    printed = capsys.readouterr().out
    assert "2 runs in 1 cell: 2 finished, 0 failed, 0 missing" in printed
    assert "3 other runs lie there too" in " ".join(printed.split())
    text = (sweep.path / "report.md").read_text(encoding="utf-8")
    assert "50.00 ± 0.00   | 2 " in text
    assert "python -m lora_sweep --multirun seed=0,1\n```" in text
    assert main([str(sweep.path), "--all", "--no-figures", "--no-html"]) == 0
    assert "5 runs in" in capsys.readouterr().out


@pytest.fixture
def mean_settings(settings: Any, tiny_base: Path) -> Callable[..., dict[str, Any]]:
    """Settings of runs that read all tokens, on data that is made."""
    own = {
        "model__name": "minilm",
        "model__path": str(tiny_base),
        "model__pooling": "mean",
        "data__name": "minimal_pairs",
        "data__task": "minimal_pairs",
        "data__n_train": 10,
        "data__n_dev": 10,
        "data__n_out_of_domain": 10,
        "data__max_length": 20,
        "data__selection_fraction": 0.0,
        "data__seed": 0,
    }
    return lambda **changes: settings(**{**own, **changes})


def test_run_is_named_with_commands_to_paste(sweep: Any, mean_settings: Any) -> None:
    run = sweep.finish("it is it", 0.5, mean_settings(model__pooling="cls"))
    where, following, *commands, what, last = run_lines([run, run.with_name("not finished")])
    assert (where, following) == (f"run: {run}", "next:")
    assert what == "with a file of your own, texts.csv, that has a column text:"
    words = [shlex.split(command) for command in (*commands, last)]
    assert [word[2] for word in words] == [
        f"lora_sweep.{name}" for name in ("evaluate", "export", "report", "predict")
    ]
    assert [word[3] for word in words] == [str(run), str(run), str(run.parent), str(run)]
    assert words[1][4:] == ["--to", "peft", "--out", "exports/it is it"]


def test_run_that_reads_all_tokens_is_told_the_export_that_it_can_have(
    sweep: Any, mean_settings: Any
) -> None:
    run = sweep.finish("a", 0.5, mean_settings())
    lines = run_lines([run])
    (export,) = [line for line in lines if "lora_sweep.export" in line]
    assert "--to loraxs" in export
    rule = "model.pooling must be cls, for bert's own classifier reads the first token alone"
    assert lines[-1] == f"PEFT and transformers can't read its exports: {rule}, but got mean"


@pytest.mark.parametrize(
    ("dev", "predicted"),
    [("dev.jsonl", "a.jsonl"), ("dev.tsv", "a.tsv"), ("dev.parquet", None), ("dev.csv.gz", None)],
)
def test_run_on_files_predicts_with_its_own(
    dev: str, predicted: str | None, sweep: Any, settings: Any, tiny_base: Path
) -> None:
    own = {"model.name": "minilm", "model.path": str(tiny_base), "model.pooling": "cls"}
    files = {"name": "files", "task": "x", "train": "t.csv", "dev": dev, "path": "in", "text": "t"}
    files |= {"label": "l", "regression": False, "max_length": 20, "selection_fraction": 0.0}
    data = {f"data.{name}": value for name, value in files.items()}
    run = sweep.finish("a", 0.5, {**settings(), **own, **data})
    (words,) = [shlex.split(line) for line in run_lines([run]) if "lora_sweep.predict" in line]
    expected = ["texts.csv", "--output", "a.csv"]
    if predicted is not None:
        expected = [f"in/{dev}", "--output", predicted]
    assert words[4:] == ["--input", *expected]


def test_report_beside_a_sweep_takes_all_runs(sweep: Any, mean_settings: Any) -> None:
    run = sweep.finish("a", 0.5, mean_settings())
    sweep.ask_for({"b": mean_settings()})
    (report,) = [line for line in run_lines([run]) if "lora_sweep.report" in line]
    assert report.endswith("--all")


def test_run_that_failed_has_nothing_next(tmp_path: Path) -> None:
    assert run_lines([tmp_path / "a"]) == []


def test_commands_are_for_the_best_of_several_seeds(sweep: Any, mean_settings: Any) -> None:
    runs = [
        sweep.finish(f"s{seed}", value, mean_settings(seed=seed))
        for seed, value in enumerate((0.4, 0.9, 0.6))
    ]
    lines = run_lines(runs)
    assert lines[:3] == [f"run: {run}" for run in runs]
    assert all(str(runs[1]) in line for line in lines[4:6])


@pytest.mark.usefixtures("unrendered")
def test_best_run_is_of_each_corpus_that_is_told_apart(
    sweep: Any, mean_settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A metric of one corpus says nothing of another's."""
    for name, task, value in (("a", "easy", 0.9), ("b", "hard", 0.3), ("c", "hard", 0.4)):
        own = mean_settings(data__task=task, data__name=task)
        sweep.finish(name, value, own)
        sweep.start(name, own)
    WriteReport(figures=False, page=False).on_multirun_end(_config(sweep))
    out = capsys.readouterr().out
    for task, run in (("easy", "a"), ("hard", "c")):
        _, _, following = out.partition(f"next, with the best run of {task}:\n")
        assert following.splitlines()[0] == f"python -m lora_sweep.evaluate {sweep.path / run}"


@pytest.mark.usefixtures("unrendered")
def test_of_equal_runs_the_commands_are_for_the_answers(
    sweep: Any, mean_settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables begin with uniform, so the answer names its cell."""
    for name, init in (("a", "quadratic"), ("b", "uniform")):
        own = mean_settings(init=init)
        sweep.finish(name, 0.5, own)
        sweep.start(name, own)
    WriteReport(figures=False, page=False).on_multirun_end(_config(sweep))
    out = capsys.readouterr().out
    assert "Best cell: Uniform" in out
    assert f"python -m lora_sweep.evaluate {sweep.path / 'b'}" in out


@pytest.mark.usefixtures("unrendered")
def test_sweep_ends_with_commands_for_its_best_run(
    sweep: Any, mean_settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not for one that collapsed, whatever its number."""
    for name, value, collapsed in (("a", 0.4, False), ("b", 0.6, False), ("c", 0.9, True)):
        sweep.finish(name, value, mean_settings(), collapsed=collapsed)
        sweep.start(name, mean_settings())
    WriteReport(figures=False, page=False).on_multirun_end(_config(sweep))
    _, _, following = capsys.readouterr().out.partition(
        f"next, with the best run of {sweep.path.name}:\n"
    )
    words = [shlex.split(line) for line in following.splitlines() if line.startswith("python")]
    run = str(sweep.path / "b")
    assert [word[2:4] for word in words] == [
        [f"lora_sweep.{name}", run] for name in ("evaluate", "export", "predict")
    ]
