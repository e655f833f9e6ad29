"""Outputs that are no terminal: ASCII, a pipe that nobody reads any more, closed; and warnings."""

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_sweep import terminal

COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "report": lambda run, _: [str(run.parent), "--no-figures", "--no-html"],
    "status": lambda run, _: [str(run.parent)],
    "evaluate": lambda run, _: [str(run)],
    "predict": lambda run, corpus: [
        *(str(run), "--input", str(corpus / "dev.tsv"), "--output", "out.csv")
    ],
    "export": lambda run, _: [str(run), "--to", "loraxs", "--out", "out"],
}


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts a command whose standard output is what the shell's redirection makes of it."""

    def process(module: str, *arguments: str, to: str, **more: str) -> "subprocess.Popen[str]":
        command = f'exec "$@" {to}'
        return subprocess.Popen(
            ["sh", "-c", command, "sh", sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return process


@pytest.mark.slow
@pytest.mark.parametrize("output", ["ascii", "left", "closed"])
@pytest.mark.parametrize("name", COMMANDS)
def test_command_ends_well_whatever_its_output_is(
    name: str,
    output: str,
    start: Callable[..., "subprocess.Popen[str]"],
    trained_runs: dict[str, Path],
    tiny_corpus: Path,
) -> None:
    arguments = COMMANDS[name](trained_runs["mean"], tiny_corpus)
    to = ">&-" if output == "closed" else ""
    module = f"lora_sweep.{name}"
    with start(module, *arguments, to=to, PYTHONIOENCODING="ascii") as process:
        assert process.stdout is not None and process.stderr is not None
        if output == "left":
            process.stdout.close()
        said = process.stderr.read()
        code = process.wait(timeout=120)
    assert said == ""
    assert code == (1 if output == "left" else 0)


def test_training_goes_on_when_nobody_reads_its_lines(
    start: Callable[..., "subprocess.Popen[str]"], tiny_run: list[str], tmp_path: Path
) -> None:
    with start("lora_sweep", *tiny_run, to="") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 0
    assert [*tmp_path.glob("outputs/tiny/*/result.json")]


def test_warning_of_a_library_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "showwarning", None)
    terminal.prepare()
    with caplog.at_level(logging.WARNING):
        warnings.showwarning("A single label\nwas found", UserWarning, "/lib/x.py", 7)
    assert [record.getMessage() for record in caplog.records] == ["UserWarning: A single label"]
