"""Rows of whole sweeps, from the start of the process to its table: time and memory."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Row, medians

CELLS = ("init=uniform,randn,quadratic,left_skewed", "lr=0.005,0.01", "seed=0,1,2")
SHORT = (
    "training.epochs=1",
    "training.epochs_discrete=0",
    "data=minimal_pairs",
    "data.n_train=256",
    "data.n_dev=100",
    "data.n_out_of_domain=100",
)


def sweeps(n_pairs: int) -> list[Row]:
    """24 short runs in packs, against one process a run; the memory of both."""
    pairs, ratios = [], []
    with tempfile.TemporaryDirectory() as place:
        _call(Path(place, "warm"), "seed=0")
        for pair in range(n_pairs):
            packs, memory = _call(Path(place, f"packs{pair}"), "-m", *CELLS)
            singles = [
                _call(Path(place, f"singles{pair}"), f"init={init}", f"lr={lr}", f"seed={seed}")
                for init in CELLS[0].removeprefix("init=").split(",")
                for lr in CELLS[1].removeprefix("lr=").split(",")
                for seed in CELLS[2].removeprefix("seed=").split(",")
            ]
            pairs.append((sum(single[0] for single in singles), packs))
            ratios.append(memory / max(single[1] for single in singles))
            last = memory, max(single[1] for single in singles)
    return [
        Row(
            "sweep",
            "24 short runs end to end (16 steps each, process start to table): packs, against one "
            "process a run",
            ">= 6",
            [a / b for a, b in pairs],
            medians(pairs),
        ),
        Row(
            "memory",
            "peak RSS of a sweep of 24 runs against one run, default pack size",
            "<= 1.5",
            ratios,
            f"{last[0] / 1e6:.0f} MB against {last[1] / 1e6:.0f} MB",
        ),
    ]


_PEAK = """import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)"""
"""A small process in between: a child would count this one's peak memory as its own."""


def _call(folder: Path, *arguments: str) -> tuple[float, int]:
    """Seconds and peak bytes of one command."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "lora_sweep", *SHORT, *arguments]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-S", "-c", _PEAK, "peak", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - started, int((folder / "peak").read_text()) * 1024
