"""`python -m bench.gpu`: right, fast, and a sweep end to end; a table last, figures as JSON.

It takes at most nine minutes: what has not begun in time is not run, and the table says so. On a
machine without CUDA `--device cpu` runs what a CPU can, at a small size, to try the battery.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from bench.gpu import right, speed, whole
from bench.gpu.checks import Check, Result, run_checks
from bench.work import Shape

LAST_START_MINUTES = 7.0
"""No check is begun later: the longest takes under two minutes."""
PACKAGES = ("torch", "transformers", "peft")


def main() -> None:
    """Runs the battery; the exit code is 1 if a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, default=Path("bench/gpu.json"))
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("python -m bench.gpu needs a CUDA device; --device cpu tries what a CPU can")
    # Read when cuBLAS starts: without it its deterministic products are refused.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = torch.device(arguments.device)
    until = time.monotonic() + 60 * LAST_START_MINUTES
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as place:
        for checks in _sections(device, Path(place)):
            results += run_checks(checks, until=until)
            _write(arguments.out, device, results)  # kept even if the next section never ends
    _show(results)
    sys.exit(any(result.is_met is False for result in results))


def _sections(device: torch.device, folder: Path) -> Iterator[Sequence[Check]]:
    base = whole.small_base(folder / "base")
    yield right.checks(device, base, folder)
    if device.type == "cuda":
        yield speed.checks(speed.large(device))
        yield whole.checks(device, base, folder)
    else:
        shape = Shape(n_layers=1, d=64, n_heads=2)
        yield speed.checks(speed.work(device, shape, (1, 2), n_train=640, n_dev=64))


def _write(out: Path, device: torch.device, results: Sequence[Result]) -> None:
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    content = {
        "device": name,
        "versions": {package: version(package) for package in PACKAGES},
        "checks": [{**dataclasses.asdict(one), "is_met": one.is_met} for one in results],
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _show(results: Sequence[Result]) -> None:
    table = Table("check", "figure", "bar", "met", "behind it", title="GPU battery")
    for one in results:
        met = {True: "yes", False: "NO", None: ""}[one.is_met]
        table.add_row(one.name, f"{one.value:.4g}", one.bar, met, one.details)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
