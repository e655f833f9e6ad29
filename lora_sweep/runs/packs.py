"""Runs to train -> packs that train together -> what became of each run.

A pack shares base, data, batches, device and precision; in all else its runs may differ. What
breaks a pack as a whole is tried again in halves, down to one run, which then fails alone.
"""

import dataclasses
import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import OmegaConf
from tqdm.auto import tqdm

from lora_sweep.config.run import RunConfig, Settings
from lora_sweep.errors import LoraSweepError, TrainingFailedError
from lora_sweep.runs.inputs import base_folder, load_adapted_encoder, load_texts
from lora_sweep.runs.keeper import PackKeeper, RunKeeper, RunOrigin
from lora_sweep.runs.log import log_to
from lora_sweep.runs.origin import device_name, git_commit, versions
from lora_sweep.runs.pack_size import best_pack_size
from lora_sweep.runs.plans import pack_plan, run_plan
from lora_sweep.runs.predictions import DevLabels
from lora_sweep.runs.record import FailureRecord, RunRecord
from lora_sweep.runs.store import RunFolder, count_runs
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.loop import train_pack
from lora_sweep.training.pack import PackTexts
from lora_sweep.training.parameters import count_trained
from lora_sweep.training.plan import PackPlan, RunPlan

log = logging.getLogger(__name__)

_SHARED = ("model", "data", "training.batch_size", "training.evaluation_batch_size",
           "training.epochs", "training.log_every", "device", "precision", "compile",
           "paths")  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run to train.

    Attributes:
        config: of its cell.
        seed: which of the cell's runs it is.
        folder: where it is kept.
        settings: what can change its result.
        fingerprint, model_fingerprint, corpus_fingerprint: of run, base and corpus.
    """

    config: RunConfig
    seed: int
    folder: RunFolder
    settings: Settings
    fingerprint: str
    model_fingerprint: str
    corpus_fingerprint: str

    @property
    def plan(self) -> RunPlan:
        """The numbers that it trains by."""
        return run_plan(self.config, self.seed)


@dataclass(frozen=True)
class _Shared:
    """What the runs of a pack train over."""

    encoder: AdaptedEncoder
    texts: PackTexts
    plan: PackPlan


def train_jobs(jobs: Sequence[Job], *, pack_size: int | None) -> list[RunRecord | Exception]:
    """Trains runs, compatible ones together, and returns what became of each, in order.

    Args:
        jobs: the runs.
        pack_size: most runs that train at once; None for as many as pay off.
    """
    groups: dict[str, list[int]] = {}
    for i, job in enumerate(jobs):
        groups.setdefault(compatibility(job.config), []).append(i)
    outcomes: dict[int, RunRecord | Exception] = {}
    for members in groups.values():
        trained = _train_group([jobs[i] for i in members], pack_size)
        outcomes |= dict(zip(members, trained, strict=True))
    return [outcomes[i] for i in range(len(jobs))]


def compatibility(config: RunConfig) -> str:
    """Returns a key that is the same for runs that can train in one pack."""
    fields: Any = dataclasses.asdict(config)
    parts = []
    for name in _SHARED:
        group, _, field = name.partition(".")
        parts.append(fields[group][field] if field else fields[group])
    return json.dumps(parts)


def _train_group(jobs: Sequence[Job], pack_size: int | None) -> list[RunRecord | Exception]:
    """Trains compatible runs, pack after pack."""
    try:
        shared = _load(jobs)
        size = 1 if not shared.encoder.can_pack else pack_size
        if size is None:
            plans = [job.plan for job in jobs]
            size = best_pack_size(shared.encoder, shared.texts, plans, shared.plan)
    except Exception as error:
        return _fail(jobs, error)
    n_packs = -(-len(jobs) // size)
    size = -(-len(jobs) // n_packs)  # packs of like size: none is left with a single run
    if len(jobs) > 1:
        packs = "1 pack" if n_packs == 1 else f"{n_packs} packs of up to {size}"
        log.info("%d runs train in %s", len(jobs), packs)
    outcomes: list[RunRecord | Exception] = []
    for start in range(0, len(jobs), size):
        outcomes += _train_pack(jobs[start : start + size], shared)
    return outcomes


def _load(jobs: Sequence[Job]) -> _Shared:
    """Base, tokens and plan; the base is factorised for the largest rank of all."""
    config = max((job.config for job in jobs), key=lambda config: config.rank.max)
    base, plan = base_folder(config), pack_plan(config)
    return _Shared(load_adapted_encoder(config, base, plan.device), load_texts(config, base), plan)


def _train_pack(jobs: Sequence[Job], shared: _Shared) -> list[RunRecord | Exception]:
    try:
        return _train_once(jobs, shared)
    except Exception as error:
        if len(jobs) == 1 or isinstance(error, LoraSweepError):
            return _fail(jobs, error)
        reason = f"{type(error).__name__}: {error}"
    # Out here the error is gone, and with it what its traceback kept in memory.
    if shared.plan.device.type == "cuda":
        torch.cuda.empty_cache()
    half = -(-len(jobs) // 2)
    log.warning("a pack of %d runs broke, its halves are tried: %s", len(jobs), reason)
    return [*_train_pack(jobs[:half], shared), *_train_pack(jobs[half:], shared)]


def _train_once(jobs: Sequence[Job], shared: _Shared) -> list[RunRecord | Exception]:
    with ExitStack() as logs:
        for job in jobs:
            logs.enter_context(log_to(job.folder.path))
            job.folder.start(job.settings, _config_yaml(job))
        n_steps = -(-len(shared.texts.train) // shared.plan.batch_size) * shared.plan.n_epochs
        with tqdm(total=n_steps, desc=_title(jobs), unit="step", disable=None) as bar:
            keepers = [
                RunKeeper(job.folder, _origin(job, shared), _dev_labels(shared.texts))
                for job in jobs
            ]
            keeper = PackKeeper(keepers, bar)
            train_pack(
                shared.encoder, shared.texts, [job.plan for job in jobs], shared.plan, keeper
            )
            keeper.finish()
    return [keeper.record or _failure(keeper) for keeper in keepers]


def _fail(jobs: Sequence[Job], error: Exception) -> list[RunRecord | Exception]:
    """The same error for all of these runs, in their folders too."""
    for job in jobs:
        job.folder.path.mkdir(parents=True, exist_ok=True)
        job.folder.fail(FailureRecord(job.settings, f"{type(error).__name__}: {error}"))
    return [error] * len(jobs)


def _failure(keeper: RunKeeper) -> TrainingFailedError:
    return TrainingFailedError(f"{keeper.folder.path.name}: {keeper.error}")


def _origin(job: Job, shared: _Shared) -> RunOrigin:
    n_trained = count_trained(
        job.plan,
        n_matrices=len(shared.encoder.layers),
        d=shared.encoder.d,
        n_labels=shared.texts.n_labels,
    )
    return RunOrigin(
        settings=job.settings,
        fingerprint=job.fingerprint,
        model_fingerprint=job.model_fingerprint,
        corpus_fingerprint=job.corpus_fingerprint,
        metric=shared.texts.metrics[0],
        matrices=list(shared.encoder.layers),
        n_trained_params=n_trained,
        device=device_name(shared.plan.device),
        versions=versions(),
        git_commit=git_commit(),
    )


def _dev_labels(texts: PackTexts) -> DevLabels:
    parts = {name: part.labels.numpy() for name, part in texts.dev.items()}
    return DevLabels(parts, texts.headline_parts)


def _config_yaml(job: Job) -> str:
    """The resolved config of one run, as a command would state it."""
    run_config = dataclasses.asdict(dataclasses.replace(job.config, seed=job.seed, n_seeds=1))
    return OmegaConf.to_yaml(OmegaConf.create(run_config))


def _title(jobs: Sequence[Job]) -> str:
    """What the progress bar is of: `run 3 of 24: NAME`, or `runs 3-10 of 24`."""
    path = jobs[0].folder.path
    n_finished, n_runs = count_runs(path.parent)
    name = path.name.rpartition("-")[0] if len(jobs) == 1 else ""
    if not n_runs:
        return name or f"{len(jobs)} runs"
    first = n_finished + 1
    place = f"run {first}" if len(jobs) == 1 else f"runs {first}-{n_finished + len(jobs)}"
    return f"{place} of {n_runs}{f': {name}' if name else ''}"
