"""A process that trains run after run stays as large and as fast as it was."""

import os
import statistics
from pathlib import Path

import pytest
from processes import ENVIRONMENT, Fork
from sweeps import TORTURE, end

pytestmark = pytest.mark.slow
N_RUNS, EARLY, GROWTH = (500, 50, 1.1) if TORTURE else (30, 15, 1.05)
"""How many runs, and by which factor the memory may grow after so many early ones."""


def test_memory_files_and_speed_stay(
    tiny_settings: list[str], reliability_cache: str, tmp_path: Path
) -> None:
    places = (reliability_cache, f"paths.outputs={tmp_path}", "paths.sweep=soak")
    script = Path(__file__).with_name("soak.py")
    command = [str(script), str(N_RUNS), *tiny_settings, *places]
    code, output = end(Fork(command, cwd=tmp_path, env=os.environ | ENVIRONMENT))
    assert code == 0, output
    rows = [line.split() for line in output.splitlines() if line[:1].isdigit()]
    assert len(rows) == N_RUNS
    seconds, memory, files = (
        [float(value) for value in column] for column in zip(*rows, strict=True)
    )
    print(f"memory {memory[-1] / memory[EARLY - 1]:.3f}, files {files[-1] - files[EARLY - 1]:.0f}")
    assert memory[-1] <= GROWTH * memory[EARLY - 1]
    assert files[-1] == files[EARLY - 1]
    if TORTURE:  # a timing counts only where nothing else runs
        early, late = (statistics.median(seconds[a:b]) for a, b in ((25, 75), (-50, None)))
        print(f"seconds of a run: {early:.3f} early, {late:.3f} late")
        assert late <= 1.1 * early
