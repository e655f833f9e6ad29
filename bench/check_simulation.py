"""The simulator against the real packs and claims: processes whose training is a sleep.

    python -m bench.check_simulation [--runs 64] [--seconds 2]

Processes load first and start together; each runs the real `train_jobs` on one sweep in packs of
four. Printed are the real makespan, from the start to the last pack that was finished, and the
simulated one.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from bench.simulate_scale import measure, simulate
from bench.store_scale import finish, jobs_of, make_configs, train_nothing
from lora_sweep.execution import group as packs
from lora_sweep.execution.group import Options
from lora_sweep.execution.job import Job
from lora_sweep.store.record import RunRecord

SIZE = 4


def work(sweep_dir: Path, n_runs: int, seconds: float, start: Barrier) -> None:
    """One process: trains, that is sleeps, until all runs are finished."""
    train_nothing()

    def train(jobs: Sequence[Job], *_: object) -> list[RunRecord]:
        time.sleep(seconds)
        return [finish(job) for job in jobs]

    setattr(packs, "train_together", train)  # noqa: B010
    jobs = jobs_of(make_configs(sweep_dir, n_runs))
    start.wait()
    packs.train_jobs(jobs, Options(pack_size=SIZE))


def real_makespan(n_runs: int, n_workers: int, seconds: float) -> float:
    """Returns the seconds from the common start to the last pack's end."""
    context: Any = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place:
        sweep_dir, start = Path(place, "sweep"), context.Barrier(n_workers + 1)
        given = (sweep_dir, n_runs, seconds, start)
        processes = [context.Process(target=work, args=given) for _ in range(n_workers)]
        for process in processes:
            process.start()
        start.wait()
        started = time.time()
        for process in processes:
            process.join()
        return (sweep_dir / ".packs" / "finished.txt").stat().st_mtime - started


def main() -> None:
    """Prints both makespans for 1, 2, 4 and 8 processes."""
    parser = argparse.ArgumentParser(prog="python -m bench.check_simulation")
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    costs, _ = measure(given.runs, 1)
    lengths = [given.seconds] * (given.runs // SIZE)
    for n_workers in (1, 2, 4, 8):
        real = real_makespan(given.runs, n_workers, given.seconds)
        simulated = simulate(lengths, n_workers, costs).makespan
        print(
            f"{n_workers} processes: {real:.1f} s, simulated {simulated:.1f} s "
            f"({simulated / real - 1:+.1%})",
            flush=True,
        )


if __name__ == "__main__":
    main()
