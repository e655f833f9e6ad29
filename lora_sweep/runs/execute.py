"""Executes a cell: typed config -> its runs' folders -> the cell's objective.

Runs that are finished are skipped. The others are trained one after the other over one encoder
that stays in memory.
"""

import dataclasses
import hashlib
import json
import logging
import platform
import statistics
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from omegaconf import OmegaConf
from tqdm.auto import tqdm

import lora_sweep
from lora_sweep.config.run import RunConfig, run_name, run_settings
from lora_sweep.errors import TrainingFailedError
from lora_sweep.models.base import base_fingerprint
from lora_sweep.runs.inputs import (
    base_folder,
    check_fit,
    load_adapted_encoder,
    load_corpus,
    load_texts,
)
from lora_sweep.runs.keeper import RunKeeper, RunOrigin
from lora_sweep.runs.log import log_to
from lora_sweep.runs.plans import find_device, pack_plan, run_plan
from lora_sweep.runs.record import FailureRecord, RunRecord
from lora_sweep.runs.store import RunFolder, count_runs
from lora_sweep.training.loop import train_pack
from lora_sweep.training.parameters import count_trained

RESULTS_VERSION = 1
"""Raised by every change of the code that changes the numbers of a run."""

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
    check_inputs(config)
    seeds = range(config.seed, config.seed + config.n_seeds)
    results = [_run(config, seed) for seed in seeds]
    errors = [result for result in results if isinstance(result, str)]
    if errors:
        raise TrainingFailedError(errors[0])
    values = [result.reported_metric for result in results if isinstance(result, RunRecord)]
    if len(values) > 1:
        log.info(
            "%d seeds: median %.2f ± %.2f",
            len(values),
            100 * statistics.median(values),
            100 * statistics.stdev(values),
        )
    return statistics.median(values)


def _run(config: RunConfig, seed: int) -> RunRecord | str:
    """One run's record, from disk if it is finished; or why it failed."""
    settings = run_settings(config, seed)
    sweep_dir = Path(config.paths.outputs, config.paths.sweep)
    folder = RunFolder(sweep_dir / run_name(settings))
    model, corpus = base_fingerprint(base_folder(config)), load_corpus(config.data).fingerprint
    fingerprint = _fingerprint(settings, model, corpus)
    if config.finished == "skip" and (record := folder.finished(fingerprint)) is not None:
        log.info("%s is finished: skipped", folder.path)
        return record
    with log_to(folder.path):
        folder.start(settings, _config_yaml(config, seed))
        try:
            keeper = _train(config, seed, folder, (fingerprint, model, corpus))
        except Exception as error:
            folder.fail(FailureRecord(settings, f"{type(error).__name__}: {error}"))
            raise
    if keeper.record is None:
        return f"{folder.path.name}: {keeper.error}"
    return keeper.record


def _train(
    config: RunConfig, seed: int, folder: RunFolder, fingerprints: tuple[str, str, str]
) -> RunKeeper:
    """Trains one run, a pack of one; `fingerprints` are those of the run, base and corpus."""
    plan, shared = run_plan(config, seed), pack_plan(config)
    base = base_folder(config)
    encoder = load_adapted_encoder(config, base, shared.device)
    texts = load_texts(config, base)
    fingerprint, model, corpus = fingerprints
    counts = count_trained(
        plan, n_matrices=len(encoder.layers), d=encoder.d, n_labels=texts.n_labels
    )
    origin = RunOrigin(
        settings=run_settings(config, seed),
        fingerprint=fingerprint,
        model_fingerprint=model,
        corpus_fingerprint=corpus,
        metric=texts.metrics[0],
        matrices=list(encoder.layers),
        n_trained_params=counts,
        device=_device_name(shared.device),
        versions=_versions(),
        git_commit=_git_commit(),
    )
    n_steps = -(-len(texts.train) // shared.batch_size) * shared.n_epochs
    with tqdm(total=n_steps, desc=_title(folder), unit="step", disable=None) as bar:
        keeper = RunKeeper(folder, origin, bar)
        train_pack(encoder, texts, [plan], shared, keeper)
        keeper.finish()
    if keeper.record is not None:
        _tell(keeper.record)
    return keeper


def _config_yaml(config: RunConfig, seed: int) -> str:
    """The resolved config of one run, as a command would state it."""
    run_config = dataclasses.asdict(dataclasses.replace(config, seed=seed, n_seeds=1))
    return OmegaConf.to_yaml(OmegaConf.create(run_config))


def _fingerprint(settings: dict[str, object], model: str, corpus: str) -> str:
    content = json.dumps([settings, model, corpus, RESULTS_VERSION], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _title(folder: RunFolder) -> str:
    n_finished, n_runs = count_runs(folder.path.parent)
    place = f"run {n_finished + 1} of {n_runs}: " if n_runs else ""
    return place + folder.path.name.rpartition("-")[0]


def _tell(record: RunRecord) -> None:
    log.info(
        "%s: best %.2f (epoch %d), final %.2f, %.0f s%s",
        record.metric,
        100 * record.best_metric,
        record.best_epoch,
        100 * record.final_metric,
        record.wall_seconds,
        ", COLLAPSED: the predictions are one class only" if record.collapsed else "",
    )


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads, {platform.machine()})"


@cache
def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "numpy", "scikit-learn")
    return {
        "lora_sweep": lora_sweep.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


@cache
def _git_commit() -> str | None:
    """The commit of the checkout that the package lies in, `+changes` if it has any; else None."""
    here = Path(lora_sweep.__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        tracked = _git(here, "ls-files", "__init__.py")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}{'+changes' if changed else ''}" if tracked else None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()
