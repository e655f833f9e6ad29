"""Runs the benchmark, prints its table, and writes it to `bench/results/`.

`docs/performance.md` gets one table per processor that was measured.

python -m bench [--quick]
"""

import argparse
import dataclasses
import json
import logging
import platform
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from tabulate import tabulate

from bench.data import data_share
from bench.measure import Row
from bench.packs import compute_bound, launch_bound, operator_calls
from bench.page import PAGE, with_figures
from bench.peers import against_peer, plain_lora
from bench.processor import file_name, instructions, processor, products
from bench.steps import against_floor, against_padded, bfloat16, masks, of_the_machine
from bench.sweeps import sweeps
from bench.work import COLA, Stepper, cell, lengths_of, load
from lora_sweep.execution.freed_memory import keep_freed_memory

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy")


def main() -> None:
    """Measures all rows, one after the other, nothing else running."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="few pairs; writes nothing")
    quick = parser.parse_args().quick
    logging.getLogger("lora_sweep").setLevel(logging.WARNING)
    keep_freed_memory()  # as every training does
    config = cell()
    encoder, texts = load(config)
    stepper = Stepper(config, encoder, texts, 1)
    rows: list[Row] = []
    for row in _rows(stepper, 0.2 if quick else 1.0):
        print(f"{row.name}: {row.median:.3g} (bar {row.bar}); {row.details}", flush=True)
        rows.append(row)
    about = _about(stepper)
    _show(rows, about)
    if not quick:
        _write(rows, about)


def _rows(stepper: Stepper, share: float) -> Iterator[Row]:
    """All rows; `share` of the pairs of a full run."""

    def n(pairs: int) -> int:
        return max(2, round(share * pairs))

    texts = stepper.pack.texts
    measures: list[Callable[[], Row]] = [
        lambda: against_peer(stepper, n(6)),
        lambda: against_padded(stepper, n(10)),
        lambda: against_floor(stepper, n(40)),
        lambda: of_the_machine(stepper, n(40)),
        lambda: masks(n(10)),
        lambda: launch_bound(texts, n(30)),
        lambda: compute_bound(stepper, n(10)),
        lambda: operator_calls(texts),
    ]
    for measure in measures:
        yield measure()
    yield from bfloat16(stepper, n(20))
    yield from plain_lora(n(6))
    yield from sweeps(1 if share < 1 else 2)


def _about(stepper: Stepper) -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    return {
        "processor": processor(),
        "instructions": instructions(),
        "products": products(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "commit": commit,
        "corpus": f"{'CoLA' if COLA.is_dir() else 'minimal_pairs'}, "
        f"{lengths_of(stepper.pack.texts.train)}",
        "data": data_share(stepper, 30),
    }


def _show(rows: list[Row], about: dict[str, Any]) -> None:
    table = Table("row", "median", "range", "target", "met", title="lora_sweep benchmark")
    for row in rows:
        table.add_row(*_cells(row))
    console = Console()
    console.print(table)
    console.print(about["data"])


def _cells(row: Row) -> list[str]:
    spread = f"{min(row.values):.3g} - {max(row.values):.3g}" if len(row.values) > 1 else ""
    return [row.name, f"{row.median:.3g}", spread, row.bar, "yes" if row.is_met else "NO"]


def _write(rows: list[Row], about: dict[str, Any]) -> None:
    """Writes this processor's file, and the page from those of all processors."""
    content = {"about": about, "rows": [dataclasses.asdict(row) for row in rows]}
    file = RESULTS / file_name(about["processor"], about["instructions"])
    file.write_text(json.dumps(content, indent=1) + "\n")
    _write_page()


def _write_page() -> None:
    """Puts the figures of all processors into the page."""
    read = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    figures = "\n\n".join(
        _figures([Row(**row) for row in one["rows"]], one["about"]) for one in read
    )
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


def _figures(rows: list[Row], about: dict[str, Any]) -> str:
    """One processor's figures, as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    table = tabulate(
        [_cells(row) for row in rows],
        headers=["row", "median", "range", "target", "met"],
        tablefmt="github",
        disable_numparse=True,
    )
    what = "\n".join(f"- **{row.name}**: {row.what}. {row.details}." for row in rows)
    return (
        f"### {about['processor']}, {about['threads']} threads\n\n"
        f"- Instructions: {about['instructions']}; {about['products']}; no other work\n"
        f"- Python {about['python']}, {versions}, commit {about['commit']}\n"
        f"- Work: {about['corpus']}, MiniLM, batch 32, rank range 5-25, average 20\n\n"
        f"{table}\n\n{what}\n\n{about['data']}"
    )


if __name__ == "__main__":
    main()
