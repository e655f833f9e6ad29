"""The packs that wait in Slurm's queue."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lora_sweep import slurm
from lora_sweep.store.pack_jobs import PackJobs
from lora_sweep.store.pack_list import read_packs


@dataclass(frozen=True)
class QueuedPack:
    """A pack whose job waits, or has only just started.

    Attributes:
        name: of the pack.
        runs: names of its runs, also of those that are done.
        words: its job, and what Slurm says of it.
    """

    name: str
    runs: tuple[str, ...]
    words: str


def queued_packs(sweep_dir: Path, *, except_for: Collection[str]) -> list[QueuedPack]:
    """Returns the packs with a job in the queue; none where Slurm does not answer.

    Args:
        sweep_dir: folder of the sweep.
        except_for: packs that are trained.

    Raises:
        RecordError: the list of packs can't be read.
    """
    noted = {p: job for p, job in PackJobs(sweep_dir).all().items() if p not in except_for}
    jobs = slurm.jobs_in_queue() if noted else None
    if not jobs:
        return []
    return [
        QueuedPack(pack, tuple(runs), f"job {noted[pack]}, {jobs[noted[pack]].words}")
        for pack, runs in read_packs(sweep_dir).items()
        if pack in noted and noted[pack] in jobs and not jobs[noted[pack]].is_over
    ]
