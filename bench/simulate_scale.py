"""What a sweep of 10,000 or 1,000,000 runs costs on many workers, by simulation.

    python -m bench.simulate_scale [--pack-minutes 30] [--deaths-per-pack 0.001] [--run-kb 686]

The packs are agreed by the real `PackList`, in a folder of this machine; its operations and
those of the real `Claims` are timed there. Then workers are simulated that take the packs as the
real ones do: a claim, a training, a line that says the pack is done, under the packs' lock. Only
one worker holds that lock at a time. A worker that dies leaves its pack, which goes on from its
last checkpoint once no free pack is left; the worker itself comes back. Not simulated: the network of a
shared file system, loading the base, composing the configs, and workers that wait at the end.
"""

import argparse
import heapq
import logging
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tabulate import tabulate

from lora_sweep.store.claims import LEASE_SECONDS, Claims, unclaimed_first
from lora_sweep.store.pack_list import PackList
from lora_sweep.store.record import RESULT_FILE

T = TypeVar("T")

PACK_SIZE = 16
N_CHECKPOINTS = 50
CALLS_A_TAKE = 55
"""System calls that open, list, look at, make or remove a file, a pack: counted with strace."""
CALLS_A_RUN = 100 + 10 * N_CHECKPOINTS
"""The same for a run, estimated from the files that it writes: about ten a file, most of them for
its temporary folder, and one file an epoch."""

CHECKPOINTS_KEPT = 2
"""Of a run while it trains."""
CHECKPOINT_PARTS = 4
"""Its size in trained states: the state, two moments of Adam, the best epoch's state."""
LISTED_KB = 1.3
"""A run's lines in sweep.json."""


@dataclass(frozen=True)
class Costs:
    """Seconds that the store takes.

    Attributes:
        agree: the packs are agreed by the first worker; or read by any other, under the lock.
        read: one worker reads them.
        take: a look at what is over and claimed, and the claim; by each worker on its own.
        note: the pack is noted as done, under the lock.
    """

    agree: float
    read: float
    take: float
    note: float


@dataclass(frozen=True)
class Came:
    """What came of a simulated sweep.

    Attributes:
        makespan: seconds until the last pack is over.
        idle: share of the workers' time in which they do not train.
        waiting: share of the workers' time that they wait for the lock.
        n_deaths: workers that died.
    """

    makespan: float
    idle: float
    waiting: float
    n_deaths: int


def simulate(
    packs: Sequence[float],
    n_workers: int,
    costs: Costs,
    *,
    dies: Callable[[int], float | None] = lambda number: None,
    lost: float = 0.0,
) -> Came:
    """Returns how long the workers take for all packs.

    Args:
        packs: seconds that each one trains, in the order in which they are taken.
        n_workers: that start at the same time.
        costs: of the store.
        dies: number of a pack's training (0 for the first) -> the share of it after which its
            worker dies; None if it does not. A pack taken over is not asked for again.
        lost: seconds of training that a death loses, at most those done since the pack's start.
    """
    free = deque(enumerate(packs))
    left_behind: list[
        tuple[float, float]
    ] = []  # when it may be taken over, seconds still to train
    lock_free, trained, waited, n_deaths, end = costs.agree, 0.0, 0.0, 0, 0.0
    workers: list[tuple[float, bool]] = []  # when, and whether it has a pack to note as done
    for _ in range(n_workers):  # each reads the packs in turn, under their lock
        waited += lock_free - costs.agree
        heapq.heappush(workers, (lock_free, False))
        lock_free += costs.read
    while workers:
        now, notes = heapq.heappop(workers)
        if notes:
            waited += max(0.0, lock_free - now)
            end = lock_free = max(now, lock_free) + costs.note
            heapq.heappush(workers, (end, False))
            continue
        death = None
        if free:
            number, seconds = free.popleft()
            death = dies(number)
        elif left_behind:
            due, seconds = heapq.heappop(left_behind)
            now = max(now, due)
        else:
            continue  # it has nothing left to do
        now += costs.take
        if death is not None:
            kept = max(0.0, death * seconds - lost)
            n_deaths += 1
            trained += kept
            now += death * seconds
            heapq.heappush(left_behind, (now + LEASE_SECONDS, seconds - kept))
            heapq.heappush(workers, (now, False))
            continue
        trained += seconds
        heapq.heappush(workers, (now + seconds, True))
    return Came(end, 1 - trained / (n_workers * end), waited / (n_workers * end), n_deaths)


def disk_gb(n_runs: int, n_workers: int, run_kb: float) -> tuple[float, float]:
    """Returns what the finished sweep takes, and what checkpoints take beside it at most.

    Args:
        n_runs: of the sweep.
        n_workers: each trains a pack.
        run_kb: of a finished run's folder; nearly all of it is the trained state.
    """
    n_training = min(n_workers * PACK_SIZE, n_runs)
    checkpoints = n_training * CHECKPOINTS_KEPT * CHECKPOINT_PARTS * run_kb
    return n_runs * (run_kb + LISTED_KB) / 1e6, checkpoints / 1e6


def measure(n_runs: int, n_claimed: int) -> tuple[Costs, list[int]]:
    """Returns the store's costs on this machine's disk, and the sizes of the agreed packs.

    Args:
        n_runs: of the sweep.
        n_claimed: packs that other workers claim meanwhile.
    """
    names = [f"randn-r5_25_20-lr{i // 100:.6f}-seed{i % 100}-{i:010x}" for i in range(n_runs)]
    with tempfile.TemporaryDirectory() as place:
        mine, other = PackList(Path(place)), PackList(Path(place))
        agree, packs = _timed(lambda: mine.agree(names, lambda _: PACK_SIZE))
        read, _ = _timed(lambda: other.holds("pack-000000"))
        for pack in list(packs)[-min(n_claimed, len(packs) // 2) :]:
            (mine.folder / f"{pack}.claim").touch()
        claims = Claims(mine.folder)
        takes, notes = [], []
        for pack in list(packs)[:50]:
            takes.append(_timed(lambda: _take(mine, claims, packs))[0])
            for name in packs[pack]:
                Path(place, name).mkdir()
                Path(place, name, RESULT_FILE).touch()
            started = time.perf_counter()
            mine.finish(pack)
            notes.append(time.perf_counter() - started)
    costs = Costs(agree, read, float(np.median(takes)), float(np.median(notes)))
    return costs, [len(members) for members in packs.values()]


def _take(packs: PackList, claims: Claims, names: dict[str, list[str]]) -> None:
    """What a worker does before and after it trains, the note that it is done aside."""
    order = unclaimed_first(names, done=packs.finished, claimed=claims.names)
    pack = next(order)
    with claims.claimed(pack):
        packs.holds(pack)


def _timed(function: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def main() -> None:
    """Simulates all sizes and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate_scale")
    parser.add_argument("--pack-minutes", type=float, default=30.0)
    parser.add_argument("--deaths-per-pack", type=float, default=0.001)
    parser.add_argument("--run-kb", type=float, default=686.0, help="folder of a finished run")
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 1_000_000])
    given = parser.parse_args()
    logging.getLogger("filelock").setLevel(logging.ERROR)
    rows = []
    for n_runs in given.runs:
        for n_workers in (1, 64, 1024):
            costs, sizes = measure(n_runs, n_workers)
            print(n_runs, n_workers, costs, flush=True)
            rows.append(_row(n_runs, n_workers, costs, sizes, given))
    headers = [
        "Runs", "Workers", "Makespan, h", "Idle", "Waiting for the lock", "Deaths",
        "File operations a second", "Disk, GB", "Checkpoints, GB at most",
    ]  # fmt: skip
    print(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True))


def _row(
    n_runs: int, n_workers: int, costs: Costs, sizes: list[int], given: argparse.Namespace
) -> list[str]:
    rng = np.random.default_rng(0)
    spread = rng.lognormal(0.0, 0.1, len(sizes))
    packs = 60 * given.pack_minutes * spread * np.array(sizes) / PACK_SIZE
    deaths = np.where(rng.random(len(sizes)) < given.deaths_per_pack, rng.random(len(sizes)), -1)
    came = simulate(
        packs.tolist(),
        n_workers,
        costs,
        dies=lambda number: None if deaths[number] < 0 else float(deaths[number]),
        lost=60 * given.pack_minutes / N_CHECKPOINTS,
    )
    n_calls = CALLS_A_TAKE * len(sizes) + CALLS_A_RUN * n_runs
    finished, checkpoints = disk_gb(n_runs, n_workers, given.run_kb)
    return [
        f"{n_runs:,}", f"{n_workers:,}", f"{came.makespan / 3600:,.1f}", f"{came.idle:.1%}",
        f"{came.waiting:.3%}", str(came.n_deaths), f"{n_calls / came.makespan:,.1f}",
        f"{finished:,.1f}", f"{checkpoints:,.1f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
