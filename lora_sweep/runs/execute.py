"""Executes cells: typed configs -> their runs' folders -> the cells' objectives.

Runs that are finished are skipped, and one that several cells ask for is trained once. The others
are trained in packs over one encoder that stays in memory.
"""

import logging
import statistics
from collections.abc import Sequence
from pathlib import Path

from lora_sweep.config.run import RunConfig, run_name, run_settings
from lora_sweep.models.base import base_fingerprint
from lora_sweep.runs.inputs import base_folder, check_fit, load_corpus
from lora_sweep.runs.origin import run_fingerprint
from lora_sweep.runs.packs import Job, train_jobs
from lora_sweep.runs.plans import find_device
from lora_sweep.runs.record import RunRecord
from lora_sweep.runs.store import RunFolder

log = logging.getLogger(__name__)


def check_inputs(config: RunConfig) -> None:
    """Checks, before any run starts, that base, corpus and device are there and fit.

    Raises:
        LoraSweepError: one is not; the message says what to do.
    """
    find_device(config.device)
    check_fit(config, base_folder(config))
    load_corpus(config.data)


def run_cell(config: RunConfig) -> float:
    """Trains the cell's runs that are not finished, and returns the median reported metric.

    Raises:
        TrainingFailedError: a run's loss was not finite; its folder says so, the cell's other
            runs are trained.
        LoraSweepError: an input is missing or wrong.
    """
    (result,) = run_cells([config], pack_size=None)
    if isinstance(result, Exception):
        raise result
    return result


def run_cells(configs: Sequence[RunConfig], *, pack_size: int | None) -> list[float | Exception]:
    """Trains the cells' runs that are not finished; compatible ones together.

    Args:
        configs: one a cell.
        pack_size: most runs that train at once; None for as many as pay off.

    Returns:
        Of each cell the median reported metric over its seeds, or the error that it ended in.
    """
    results: list[float | Exception | list[Path]] = [_job_paths(config) for config in configs]
    outcomes: dict[Path, RunRecord | Exception] = {}
    waiting: dict[Path, Job] = {}
    for i, config in enumerate(configs):
        try:
            check_inputs(config)
            for job in _jobs(config):
                record = _finished(job)
                if record is None:
                    waiting.setdefault(job.folder.path, job)
                else:
                    outcomes[job.folder.path] = record
        except Exception as error:
            results[i] = error
    trained = train_jobs(list(waiting.values()), pack_size=pack_size)
    outcomes |= dict(zip(waiting, trained, strict=True))
    return [
        _cell_result([outcomes[path] for path in result]) if isinstance(result, list) else result
        for result in results
    ]


def _job_paths(config: RunConfig) -> list[Path]:
    sweep_dir = Path(config.paths.outputs, config.paths.sweep)
    seeds = range(config.seed, config.seed + config.n_seeds)
    return [sweep_dir / run_name(run_settings(config, seed)) for seed in seeds]


def _jobs(config: RunConfig) -> list[Job]:
    """The cell's runs, one a seed."""
    model, corpus = base_fingerprint(base_folder(config)), load_corpus(config.data).fingerprint
    jobs = []
    for offset, path in enumerate(_job_paths(config)):
        settings = run_settings(config, config.seed + offset)
        jobs.append(
            Job(
                config=config,
                seed=config.seed + offset,
                folder=RunFolder(path),
                settings=settings,
                fingerprint=run_fingerprint(settings, model, corpus),
                model_fingerprint=model,
                corpus_fingerprint=corpus,
            )
        )
    return jobs


def _finished(job: Job) -> RunRecord | None:
    if job.config.finished == "overwrite":
        return None
    record = job.folder.finished(job.fingerprint)
    if record is not None:
        log.info("%s is finished: skipped", job.folder.path)
    return record


def _cell_result(outcomes: Sequence[RunRecord | Exception]) -> float | Exception:
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if errors:
        return errors[0]
    values = [outcome.reported_metric for outcome in outcomes if isinstance(outcome, RunRecord)]
    if len(values) > 1:
        log.info(
            "%d seeds: median %.2f ± %.2f",
            len(values),
            100 * statistics.median(values),
            100 * statistics.stdev(values),
        )
    return statistics.median(values)
