"""Executes cells: typed configs -> their runs' folders -> the cells' objectives.

Runs that are finished are skipped, and one that several cells ask for is trained once. The others
are trained in packs over one encoder that stays in memory.
"""

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from lora_sweep.config.idle import idle_settings
from lora_sweep.config.run import RunConfig
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.group import Options, train_jobs
from lora_sweep.execution.inputs import base_folder, check_fit, load_corpus
from lora_sweep.execution.job import Job, Outcome
from lora_sweep.execution.matching import match_of, matched
from lora_sweep.execution.origin import run_fingerprint, sweep_origins
from lora_sweep.execution.plans import find_device, length_of
from lora_sweep.execution.starts import check_sources, source_identities
from lora_sweep.execution.workers import dispatch_jobs
from lora_sweep.models.base import base_fingerprint
from lora_sweep.rules import MOST_STEPS, require
from lora_sweep.store.pack_list import PackList
from lora_sweep.store.record import RunRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.trackers.tracker import check_tracker
from lora_sweep.training.plan import Length

log = logging.getLogger(__name__)

CellRuns = dict[str, Outcome | None]
"""Name of each run of a cell -> what became of it; None for one that is to be trained."""


def check_inputs(config: RunConfig, *, trains_here: bool = True) -> None:
    """Checks, before any run starts, that tracker, base, corpus and device are there and fit.

    Settings that have no effect are warned of.

    Args:
        config: of the cell.
        trains_here: whether the device must be this machine's.

    Raises:
        LoraSweepError: one is not; the message says what to do.
    """
    check_tracker(config.tracker.name)
    if trains_here:
        find_device(config.device)
    config, base = matched(config), base_folder(config)
    check_fit(config, base)
    length = length_of(config, len(load_corpus(config.data).train))
    _check_length(config, length)
    check_sources(config, base)
    for sentence in idle_settings(config, length.n_epochs):
        _warn_once(sentence)


@cache
def _warn_once(sentence: str) -> None:
    # The cells of a sweep mostly have the reason in common.
    log.warning(sentence)


def _check_length(config: RunConfig, length: Length) -> None:
    """Checks that the training ends some day."""
    require(
        length.n_steps <= MOST_STEPS,
        "training.epochs",
        f"few enough for {MOST_STEPS} steps in all",
        f"{config.training.epochs}, which are {length.n_steps} steps",
    )


def run_cell(config: RunConfig, *, waits: bool = True, command: str | None = None) -> float:
    """Trains the cell's runs that are not finished, and returns the median reported metric.

    Args:
        config: of the cell.
        waits: for runs that another process trains just now.
        command: kept with the runs that start; None where the sweep's list has it.

    Raises:
        ClaimedElsewhereError: another process trains one, and this one does not wait.
        TrainingFailedError: a run's loss was not finite; its folder says so, the cell's other
            runs are trained.
        LoraSweepError: an input is missing or wrong.
    """
    (result,) = run_cells([config], Options(waits=waits, command=command))
    if isinstance(result, Exception):
        raise result
    return result


def run_cells(configs: Sequence[RunConfig], options: Options) -> list[float | Exception]:
    """Trains the cells' runs that are not finished; compatible ones together.

    Args:
        configs: one a cell, all of one sweep.
        options: how the runs are divided and ended.

    Returns:
        Of each cell the median reported metric over its seeds, or the error that it ended in.

    Raises:
        RecordError: base model, corpus or code have changed since the sweep was started; then
            nothing is trained.
        StorageError: something can't be written.
        StoppedError: a signal came; all that trained is saved.
    """
    cells, jobs = prepare_cells(configs, options)
    train = train_jobs if options.executor is None else dispatch_jobs
    trained = train(jobs, options)
    outcomes = {job.name: outcome for job, outcome in zip(jobs, trained, strict=True)}
    return [
        cell if isinstance(cell, Exception) else cell_result(cell | _of(cell, outcomes))
        for cell in cells
    ]


def prepare_cells(
    configs: Sequence[RunConfig], options: Options
) -> tuple[list[CellRuns | Exception], list[Job]]:
    """Returns of each cell its runs, or the error that keeps it from training; and what to train.

    Args:
        configs: one a cell, all of one sweep.
        options: how the runs are divided and ended.

    Raises:
        RecordError: base model, corpus or code have changed since the sweep was started.
    """
    cells: list[CellRuns | Exception] = []
    jobs: dict[str, Job] = {}
    for config in configs:
        try:
            check_inputs(config, trains_here=options.executor is None)
            match = match_of(config)
            matched, note = (config, None) if match is None else (match.config, match.words)
            own = {job.name: job for job in _jobs(matched, options.command, note)}
        except Exception as error:
            cells.append(error)
            continue
        cells.append(dict.fromkeys(own))
        for name, job in own.items():
            jobs.setdefault(name, job)  # a run that two cells ask for is the first one's
    _check_origins(jobs.values())
    finished = {name: _finished(job) for name, job in jobs.items()}
    for cell in cells:
        if not isinstance(cell, Exception):
            cell.update(_of(cell, finished))
    return cells, [job for name, job in jobs.items() if finished[name] is None]


def _of(cell: CellRuns, outcomes: Mapping[str, Outcome | None]) -> CellRuns:
    return {name: outcomes[name] for name in cell if name in outcomes}


def _jobs(config: RunConfig, command: str | None, note: str | None) -> list[Job]:
    """The cell's runs, one a seed."""
    model, corpus = base_fingerprint(base_folder(config)), load_corpus(config.data).fingerprint
    sources = source_identities(config)
    sweep_dir = Path(config.paths.outputs, config.paths.sweep)
    return [
        Job(
            config=config,
            seed=settings["seed"],
            folder=RunFolder(sweep_dir / name),
            settings=settings,
            fingerprint=run_fingerprint(settings, model, corpus, sources),
            model_fingerprint=model,
            corpus_fingerprint=corpus,
            sources=sources,
            command=command,
            note=note,
        )
        for name, settings in runs_of(config).items()
    ]


def _check_origins(jobs: Iterable[Job]) -> None:
    """Checks that each sweep is still of the same base model, corpus and code."""
    by_sweep: dict[Path, dict[str, str]] = {}
    replace = False
    for job in jobs:
        origins = sweep_origins(
            job.config, job.model_fingerprint, job.corpus_fingerprint, job.sources
        )
        by_sweep.setdefault(job.folder.path.parent, {}).update(origins)
        replace = replace or job.config.finished == "overwrite"
    for sweep_dir, origins in by_sweep.items():
        PackList(sweep_dir).check_origins(origins, replace=replace)


def _finished(job: Job) -> RunRecord | None:
    if job.config.finished == "overwrite":
        return None
    ended = job.folder.ended(job.fingerprint)
    if ended is None or ended.record is None:
        return None
    log.info("%s is finished: skipped", job.folder.path)
    return ended.record


def cell_result(runs: CellRuns) -> float | Exception:
    """Returns the median reported metric of a cell's runs, or the first one's error.

    Args:
        runs: all with an outcome.
    """
    outcomes = list(runs.values())
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
