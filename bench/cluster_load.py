"""What a cluster costs: the same packs by two local workers, by Slurm's arrays and by Ray.

    python -m bench.cluster_load [--runs 1000] [--pack-size 167] [--executors joblib submitit ray]

Slurm is one node that is started for this (`tools/slurm_cluster.py`), Ray a cluster of this
machine's cores. Each of them trains two packs at once, a core each. The base is a random encoder
of two layers, so that a pack of so many runs takes about two minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from tabulate import tabulate

from bench.gpu.whole import small_base
from tools.slurm_cluster import SlurmCluster

SHORT = (
    *("data=minimal_pairs", "data.n_train=1700", "data.n_dev=40", "data.n_out_of_domain=20"),
    *("training.epochs=1", "training.epochs_discrete=0", "training.batch_size=16"),
    *("hydra.callbacks.report.figures=false", "hydra.callbacks.report.page=false"),
)
EXECUTORS: Mapping[str, tuple[str, ...]] = {
    "joblib": ("hydra.launcher.executor=joblib", "hydra.launcher.joblib.n_jobs=2"),
    "submitit": (
        "hydra/launcher=pack_slurm_cpu",
        "hydra.launcher.submitit.parameters.cpus_per_task=1",
        "hydra.launcher.submitit.parameters.mem_gb=3",
    ),
    "ray": ("hydra.launcher.executor=ray", "hydra.launcher.ray.cpus_per_pack=1"),
}
BASE = "base"
N_INITS = 2
N_RATES = 5


@dataclass(frozen=True)
class Cost:
    """What a sweep took.

    Attributes:
        seconds: from the command to its table.
        peak_mb: most memory of the command's own process.
        n_files: left in the sweep's folder.
    """

    seconds: float
    peak_mb: float
    n_files: int


def measure(executor: str, n_runs: int, pack_size: int, folder: Path) -> Cost:
    """Trains a sweep of so many runs over the folder's base and returns what it took.

    Raises:
        RuntimeError: it failed.
    """
    seeds = ",".join(map(str, range(n_runs // (N_INITS * N_RATES))))
    rates = ",".join(f"{0.01 * (1 + i):g}" for i in range(N_RATES))
    cells = ("init=randn,quadratic", f"lr={rates}", f"seed={seeds}")
    own = (*EXECUTORS[executor], f"hydra.launcher.pack_size={pack_size}")
    place = (f"model.path={folder / BASE}", f"paths.outputs={folder}", f"paths.sweep={executor}")
    command = [sys.executable, "-m", "lora_sweep", "-m", *cells, *SHORT, *own, *place]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    with (folder / f"{executor}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        peak = _Peak(process.pid)
        code = process.wait()
    seconds = time.monotonic() - started
    n_done = len(list((folder / executor).glob("*/result.json")))
    if code or n_done != n_runs:
        raise RuntimeError(f"exit code {code}, {n_done} runs: see {log.name}")
    n_files = sum(path.is_file() for path in (folder / executor).rglob("*"))
    return Cost(seconds, peak.bytes / 1e6, n_files)


class _Peak(threading.Thread):
    """Watches the memory of a process, which its children do not count in."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.bytes = psutil.Process(pid), 0
        self.start()

    def run(self) -> None:
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            self.bytes = max(self.bytes, self.process.memory_info().rss)
            time.sleep(0.5)


def main() -> None:
    """Measures one executor after the other, nothing else running, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster_load")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--pack-size", type=int, default=167)
    parser.add_argument("--executors", nargs="+", choices=EXECUTORS, default=list(EXECUTORS))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cluster-load-"))
    print(f"sweeps and logs: {folder}", flush=True)
    small_base(folder / BASE, d=64, n_layers=2, n_heads=4)
    n_packs = -(-arguments.runs // arguments.pack_size)
    costs: dict[str, Cost] = {}
    with SlurmCluster(cpus=2) as cluster:
        os.environ.update(cluster.environment)
        for executor in arguments.executors:
            costs[executor] = measure(executor, arguments.runs, arguments.pack_size, folder)
            print(executor, costs[executor], flush=True)
    local = costs[arguments.executors[0]].seconds
    rows = [
        [
            executor,
            f"{cost.seconds:.0f}",
            f"{cost.seconds / local - 1:+.1%}",
            f"{2 * (cost.seconds - local) / n_packs:.1f}",
            f"{cost.peak_mb:.0f}",
            f"{cost.n_files / arguments.runs:.2f}",
        ]
        for executor, cost in costs.items()
    ]
    headers = ["executor", "seconds", "more than local", "more per pack, s", "command, MB"]
    print(tabulate(rows, headers=[*headers, "files per run"], tablefmt="github"))


if __name__ == "__main__":
    main()
