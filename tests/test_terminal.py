"""Outputs that are no terminal: ASCII, a pipe that nobody reads any more, closed; and warnings."""

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import ENVIRONMENT, Fork
from sweeps import end

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


REDIRECTED = """
import os
import runpy
import sys

output, module, *sys.argv[1:] = sys.argv[1:]
if output == "left":
    nobody, pipe = os.pipe()
    os.close(nobody)
    os.dup2(pipe, 1)
elif output == "ascii":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
if output == "closed":
    os.close(1)
    sys.stdout = sys.__stdout__ = None
else:
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="ascii", closefd=False)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""A module whose standard output is what a shell would make of it: a fork begins with another."""


def ended(folder: Path, output: str, module: str, *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of a fork."""
    script = folder / "redirected.py"
    script.write_text(REDIRECTED)
    command = [str(script), output, module, *arguments]
    return end(Fork(command, cwd=folder, env=os.environ | ENVIRONMENT))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["ascii", "left", "closed"])
@pytest.mark.parametrize("name", COMMANDS)
def test_command_ends_well_whatever_its_output_is(
    name: str,
    output: str,
    trained_runs: dict[str, Path],
    tiny_corpus: Path,
    tmp_path: Path,
) -> None:
    arguments = COMMANDS[name](trained_runs["mean"], tiny_corpus)
    code, said = ended(tmp_path, output, f"lora_sweep.{name}", *arguments)
    assert said == ""
    assert code == (1 if output == "left" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["ascii", "left", "closed"])
def test_process_of_its_own_ends_well_whatever_its_output_is(
    output: str, trained_runs: dict[str, Path]
) -> None:
    """The one that starts fastest: Python makes its outputs from what the shell gives."""
    to = ">&-" if output == "closed" else ""
    command = [sys.executable, "-m", "lora_sweep.status", str(trained_runs["mean"].parent)]
    with subprocess.Popen(
        ["sh", "-c", f'exec "$@" {to}', "sh", *command],
        env=os.environ | ENVIRONMENT | {"PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        if output == "left":
            process.stdout.close()
        said = process.stderr.read()
        code = process.wait(timeout=120)
    assert said == ""
    assert code == (1 if output == "left" else 0)


def test_training_goes_on_when_nobody_reads_its_lines(tiny_run: list[str], tmp_path: Path) -> None:
    assert ended(tmp_path, "left", "lora_sweep", *tiny_run) == (0, "")
    assert [*tmp_path.glob("outputs/tiny/*/result.json")]


def test_warning_of_a_library_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "showwarning", None)
    terminal.prepare()
    with caplog.at_level(logging.WARNING):
        warnings.showwarning("A single label\nwas found", UserWarning, "/lib/x.py", 7)
    assert [record.getMessage() for record in caplog.records] == ["UserWarning: A single label"]
