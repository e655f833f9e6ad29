"""How long the report of 10,000 runs takes, and how much memory: pictures aside.

    python -m bench.report_scale [--runs 10000] [--epochs 5] [--matrices 24]

Run folders are made in a temporary folder: four inits, 25 learning rates, so many seeds, with
history, dev predictions, one folder in a thousand half written. The report runs as a command.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lora_sweep.store.epochs import EpochRecord
from lora_sweep.store.predictions import DevLabels, save_predictions
from lora_sweep.store.record import RunRecord
from lora_sweep.store.run_folder import RunFolder

INITS = ("uniform", "randn", "quadratic", "left_skewed")
N_LRS = 25
N_DEV = 400
METRIC = "matthews_correlation"
SETTINGS = {
    "rank.min": 5, "rank.max": 25, "rank.average": 20, "alpha.min": 0.5, "alpha.max": 3.0,
    "data.name": "cola", "data.task": "cola", "model.name": "minilm",
}  # fmt: skip


def make_sweep(folder: Path, *, n_runs: int, n_epochs: int, n_matrices: int) -> None:
    """Writes the run folders; one in a thousand has half a record."""
    rng = np.random.default_rng(0)
    matrices = [f"encoder.layer.{i // 4}.part{i % 4}" for i in range(n_matrices)]
    labels = rng.integers(0, 2, N_DEV)
    for i in range(n_runs):
        init, lr = INITS[i % 4], 0.001 * (1 + i // 4 % N_LRS)
        settings = SETTINGS | {"init": init, "lr": lr, "seed": i // (4 * N_LRS)}
        run = folder / f"{init}-{i}"
        run.mkdir()
        record = fill_record(settings, matrices, rng.uniform(5, 25, (n_epochs, n_matrices)), i)
        start = {"kind": "ranks", "step": 0, "ranks": [20.0] * n_matrices}
        (run / "history.jsonl").write_text(json.dumps(start) + "\n")
        predicted = [{"dev": rng.integers(0, 2, N_DEV)} for _ in range(n_epochs)]
        dev = DevLabels({"dev": labels}, ("dev",))
        save_predictions(run / "predictions.safetensors", predicted, dev)
        RunFolder(run).finish(record)
        if i % 1_000 == 0:
            text = (run / "result.json").read_text()
            (run / "result.json").write_text(text[: len(text) // 2])


def measure(folder: Path) -> tuple[float, float]:
    """Returns seconds and peak memory (MiB) of the report as a command, without pictures."""
    command = [sys.executable, "-m", "lora_sweep.report", str(folder), "--no-figures"]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def fill_record(
    settings: dict[str, object], matrices: list[str], ranks: "np.ndarray", i: int
) -> RunRecord:
    """Returns the record of a run that was not trained.

    Args:
        settings: of the run.
        matrices: names of the adapted matrices, N of them.
        ranks: of every epoch, (n_epochs, N).
        i: number of the run, which its metrics depend on.
    """
    metrics = 0.5 + 0.001 * (i % 97) + np.linspace(0.0, 0.3, len(ranks))
    epoch = EpochRecord(1, 1, 0.5, {}, 0.5, 9600.0, 0.0, 9590, [], [])
    epochs = [
        dataclasses.replace(
            epoch,
            epoch=k + 1,
            metrics={METRIC: float(metrics[k])},
            ranks=row.tolist(),
            integer_ranks=row.round().astype(int).tolist(),
        )
        for k, row in enumerate(ranks)
    ]
    return RunRecord(
        settings=settings, fingerprint=f"run {i}", model_fingerprint="m", corpus_fingerprint="c",
        metric=METRIC, matrices=matrices, epochs=epochs, best_metric=float(metrics[-1]),
        best_epoch=len(epochs), final_metric=float(metrics[-1]), selected_metric=None,
        selected_epoch=None, collapsed=False, n_trained_params={"total": 1}, wall_seconds=1.0,
        device="cpu", versions={}, git_commit=None, label_names=[],
    )  # fmt: skip


def main() -> None:
    """Makes the sweep and prints what its report took."""
    parser = argparse.ArgumentParser(prog="python -m bench.report_scale")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--matrices", type=int, default=24)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_sweep(folder, n_runs=given.runs, n_epochs=given.epochs, n_matrices=given.matrices)
        os.sync()
        for _ in range(3):
            seconds, memory = measure(folder)
            print(f"{given.runs} runs: {seconds:.1f} s, {memory:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
