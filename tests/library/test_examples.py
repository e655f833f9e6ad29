"""The examples run as a user would start them, on few sentences."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ENVIRONMENT, Fork
from sweeps import end

EXAMPLES = Path(__file__).parents[2] / "examples"


def _output(name: str, folder: Path, *arguments: str, anew: bool = False) -> str:
    """What an example prints, as a fork, or with all imports and no deprecated call in them."""
    command = [str(EXAMPLES / name), *arguments]
    if not anew:
        code, output = end(Fork(command, cwd=folder, env=os.environ | ENVIRONMENT))
        assert code == 0, output
        return output
    command = [sys.executable, "-W", "error::DeprecationWarning", *command]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _check_ranks(output: str) -> None:
    """24 ranks within 5 ... 25 that spend what the line below says, within the budget."""
    listed = re.search(r"^ranks \[(.*)\]$", output, re.M)
    spent = re.search(r"^spend (\d+) of 9600 entries$", output, re.M)
    assert listed and spent
    ranks = [int(rank) for rank in listed[1].split(", ")]
    assert len(ranks) == 24 and min(ranks) >= 5 and max(ranks) <= 25
    assert sum(rank * rank for rank in ranks) == int(spent[1]) <= 9600


SMALL = ("--n-train", "32", "--n-dev", "20", "--epochs", "2")


@pytest.mark.slow
def test_own_loop_runs_and_loads_what_it_saved(tmp_path: Path) -> None:
    output = _output("own_loop.py", tmp_path, *SMALL, anew=True)
    _check_ranks(output)
    last = re.search(r"^epoch 2: Matthews correlation (\S+)$", output, re.M)
    again = re.search(r"loaded again: (\S+)$", output, re.M)
    assert last and again and last[1] == again[1]


@pytest.mark.slow
def test_trainer_runs(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    output = _output("trainer.py", tmp_path, *SMALL)
    _check_ranks(output)


@pytest.mark.slow
def test_pictures_are_those_of_the_guide(tmp_path: Path) -> None:
    sizes = ("--n-train", "32", "--epochs", "2")
    _output("method_in_pictures.py", tmp_path, "--folder", str(tmp_path), *sizes)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    guide = (EXAMPLES.parent / "docs" / "method.md").read_text(encoding="utf-8")
    assert drawn == set(re.findall(r"\]\(method_pictures/(\w+\.png)\)", guide))
    assert drawn == {path.name for path in (EXAMPLES.parent / "docs/method_pictures").iterdir()}
