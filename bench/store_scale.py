"""What the run store costs at many runs: listing, skipping, packing and collecting them.

    python -m bench.store_scale [--runs 10000] [--folder DIR] [phase ...]

The run folders hold real records under the names that `run_cells` looks for, written to DIR if it
is not there yet (else to a temporary folder). Nothing is trained: in the phase `packs` a training
is the writing of its records, so what is timed is the store and the packs alone.
"""

import argparse
import dataclasses
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir

from bench.report_scale import fill_record
from lora_sweep.config.run import RunConfig, to_run_config
from lora_sweep.config.store import CONF
from lora_sweep.execution import group as packs
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.execution.inputs import base_folder, load_corpus
from lora_sweep.execution.job import Job
from lora_sweep.execution.origin import run_fingerprint
from lora_sweep.files import write_text
from lora_sweep.models.base import base_fingerprint
from lora_sweep.plugins import register as register_plugins
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.store.record import RunRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.state import is_done, settings_json
from lora_sweep.store.sweep_list import add_to_sweep, count_runs, read_sweep

PACK_SIZE = 16
N_SEEDS = 100
N_MATRICES, N_EPOCHS = 24, 5


def make_configs(sweep_dir: Path, n_runs: int) -> list[RunConfig]:
    """Returns the typed configs of a sweep, one a run: seeds within learning rates."""
    where = (f"paths.outputs={sweep_dir.parent}", f"paths.sweep={sweep_dir.name}")
    register_plugins()
    with initialize_config_dir(CONF):
        config = to_run_config(compose("config", overrides=[*where, "device=cpu", "init=randn"]))
    return [
        dataclasses.replace(config, lr=round(1e-4 * (1 + i // N_SEEDS), 7), seed=i % N_SEEDS)
        for i in range(n_runs)
    ]


def finish(job: Job) -> RunRecord:
    """Writes a record of a run that was not trained, and returns it."""
    record = _record(job)
    job.folder.path.mkdir(exist_ok=True)
    write_text(job.folder.path / "settings.json", settings_json(job.folder.path, job.settings))
    return job.folder.finish(record)


def _record(job: Job) -> RunRecord:
    matrices = [f"encoder.layer.{i // 4}.part{i % 4}" for i in range(N_MATRICES)]
    ranks = np.random.default_rng(job.seed).uniform(5, 25, (N_EPOCHS, N_MATRICES))
    record = fill_record(job.settings, matrices, ranks, job.seed)
    return dataclasses.replace(record, fingerprint=job.fingerprint)


def jobs_of(configs: Sequence[RunConfig]) -> list[Job]:
    """Returns the jobs of configs that share base and corpus, one a config."""
    model = base_fingerprint(base_folder(configs[0]))
    corpus = load_corpus(configs[0].data).fingerprint
    jobs = []
    for config in configs:
        ((name, settings),) = runs_of(config).items()
        folder = RunFolder(Path(config.paths.outputs, config.paths.sweep, name))
        own = run_fingerprint(settings, model, corpus)
        jobs.append(Job(config, config.seed, folder, settings, own, model, corpus))
    return jobs


def timed(name: str, function: Callable[[], Any]) -> Any:
    """Prints how long a call takes, and returns what it returns."""
    started, worked = time.perf_counter(), time.process_time()
    result = function()
    wall, worked = time.perf_counter() - started, time.process_time() - worked
    print(f"{name}: {wall:.2f} s ({worked:.2f} s of one core)", flush=True)
    return result


def phases(sweep_dir: Path, configs: Sequence[RunConfig]) -> dict[str, Callable[[], Any]]:
    """Returns name -> what is timed, in the order in which a sweep comes to it."""
    jobs = jobs_of(configs)
    return {
        "add": lambda: add_to_sweep(sweep_dir, {job.name: job.settings for job in jobs}, "bench"),
        "packs": lambda: packs.train_jobs(jobs, Options(pack_size=PACK_SIZE)),
        "list": lambda: [is_done(sweep_dir / name) for name in read_sweep(sweep_dir)],
        "count": lambda: count_runs(sweep_dir, [jobs[-1].name]),
        "skip": lambda: run_cells(configs, Options(pack_size=PACK_SIZE)),
        "collect": lambda: collect_runs(sweep_dir),
    }


def train_nothing() -> None:
    """From now on a training in this process is the writing of its records."""

    class Shared:
        class encoder:
            can_pack = True

    def train(jobs: Sequence[Job], *_: object) -> list[RunRecord]:
        # as the title of a real training's progress bar
        count_runs(jobs[0].folder.path.parent, [job.name for job in jobs])
        return [finish(job) for job in jobs]

    setattr(packs, "load_shared", lambda jobs: Shared)  # noqa: B010
    setattr(packs, "train_together", train)  # noqa: B010


def main() -> None:
    """Prints the seconds of each phase."""
    parser = argparse.ArgumentParser(prog="python -m bench.store_scale")
    parser.add_argument("phases", nargs="*", help="add packs list count skip collect; all if none")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="of the sweep; kept")
    given = parser.parse_args()
    logging.getLogger("lora_sweep").setLevel(logging.WARNING)
    train_nothing()
    with tempfile.TemporaryDirectory() as place:
        sweep_dir = (given.folder or Path(place, "sweep")).absolute()
        every = phases(sweep_dir, make_configs(sweep_dir, given.runs))
        for name in given.phases or every:
            timed(f"{given.runs} runs, {name}", every[name])


if __name__ == "__main__":
    main()
