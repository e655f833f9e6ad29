"""Commands of a user without a home, as in a container whose user is a number and no more."""

import os
from pathlib import Path

import pytest
from processes import ENVIRONMENT, Fork

SCRIPT = """\
import pwd


def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")


pwd.getpwuid = unknown
from lora_sweep.cli import main

main()
"""
USER = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "LORA_SWEEP_CACHE")


def _run(folder: Path, settings: list[str], **environment: str) -> tuple[int | None, str]:
    (folder / "command.py").write_text(SCRIPT)
    env = {name: value for name, value in os.environ.items() if name not in USER}
    command = [str(folder / "command.py"), *settings, "training.epochs=1"]
    process = Fork(command, cwd=folder, env={**env, **ENVIRONMENT, **environment})
    output, _ = process.communicate(timeout=300)
    assert "Traceback" not in output, output
    return process.poll(), output


def test_run_needs_no_home(tiny_settings: list[str], tmp_path: Path) -> None:
    code, output = _run(tmp_path, tiny_settings, LORA_SWEEP_CACHE=str(tmp_path / "cache"))
    assert code == 0, output
    assert "epoch 1: loss" in output
    assert len(list(tmp_path.glob("outputs/files/*/result.json"))) == 1


@pytest.mark.parametrize(
    ("home", "told"),
    [
        ({}, "must be a path without ~ where the user has no home folder"),
        ({"HOME": "/proc/none"}, "another cache: paths.cache (or LORA_SWEEP_CACHE"),
    ],
    ids=["unknown", "read-only"],
)
def test_cache_that_would_lie_at_home_is_told_of(
    home: dict[str, str], told: str, tiny_settings: list[str], tmp_path: Path
) -> None:
    code, output = _run(tmp_path, tiny_settings, **home)
    assert code == 1
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert told in line
